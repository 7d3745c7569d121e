//! Strays: nodes that start with another view in their environment than the cluster's first (design 3.3).
//!
//! A spare may wait in a view of its own to be taken in. A member must learn of its cluster as soon as any member of it reaches it;
//! until then it is in a cluster of its own. Clients do not ask it there, but somebody writes to it: nothing of that may ever be
//! seen in the cluster.

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::config::Config;
use precede_core::id::{Address, NodeId, RequestId};
use precede_core::input::Input;
use precede_core::node::Node;
use precede_core::placement::view::View;
use precede_core::table::value::Value;
use precede_core::wire::request::Action;

use crate::queue::Event;
use crate::trace::letter;
use crate::world::{MILLISECOND, World, plain_request};

/// Requests of those who write to strays have numbers from here on.
pub(super) const STRAY_REQUESTS: u64 = 1 << 60;

/// Chance, in a thousandth, that a member starts again with another view.
const MEMBERS: u64 = 300;

/// Chance that a node outside the first view has a view of its own.
const SPARES: u64 = 300;

impl World {
    /// The view that a node starts with. A spare that has one of its own always starts with that, if it can ever hear of the cluster
    /// again: from a member that runs and knows a view which a coordinator has made. First views are never taken from others.
    pub(super) fn environment(&mut self, at: usize) -> View {
        if !self.mix.changes_views() {
            return self.shape.view.clone();
        }
        let (current, me) = (self.view_now(), self.machines[at].id);
        let is_member = current.shard_of_member(me).is_some();
        let others = (0..self.machines.len()).filter(|other| *other != at && self.machines[*other].node.is_some());
        let tells = |other: &usize| {
            let node = self.machines[*other].node.as_ref();
            current.shard_of_member(self.machines[*other].id).is_some()
                && !self.is_stray(*other)
                && node.is_some_and(|node| node.view().id == current.id)
        };
        let is_told = current.id.epoch > 0 && others.into_iter().any(|other| tells(&other));
        if !is_told && self.machines[at].boots > 1 {
            return self.shape.view.clone();
        }
        let own = self.machines[at].environment.clone();
        let strays = match (self.machines[at].boots == 1, is_member) {
            (true, _) => at >= self.shape.members && self.dice.chance(SPARES),
            (false, true) => own.is_some() || self.dice.chance(MEMBERS),
            (false, false) => own.is_some(),
        };
        if !strays {
            return self.shape.view.clone();
        }
        let view = own.unwrap_or_else(|| self.strange_view(at, &current));
        if self.machines[at].boots == 1 {
            self.machines[at].environment = Some(view.clone());
        }
        self.machines[at].strayed = true;
        if self.trace.is_on() {
            let members: Vec<&str> = view.members().map(|(_, address, _)| address.as_str()).collect();
            self.trace.line(self.now, format_args!("** {} starts with {}", letter(at), members.join(",")));
        }
        if is_member && self.dice.chance(500) {
            let delay = self.dice.below(300 * MILLISECOND);
            self.queue.push(self.now + delay, Event::WriteAstray(at));
        }
        view
    }

    /// Only itself; some member; the present members; itself and nobody; nobody.
    fn strange_view(&mut self, at: usize, current: &View) -> View {
        let me = self.machines[at].address.clone();
        let nobody = Address::parse("10.9.9.9:8080", None).expect("it has a host and a port");
        let present: Vec<Address> = current.members().map(|(_, address, _)| address.clone()).collect();
        let (members, factor) = match self.dice.below(6) {
            0 | 1 => (vec![me], 1),
            2 => (vec![self.dice.pick(&present).clone()], 1),
            3 => (present, current.repl_factor),
            4 => (vec![me, nobody], 1 + self.dice.index(2)),
            _ => (vec![nobody], 1),
        };
        View::bootstrap(&members, factor).expect("the factor is within the members")
    }

    /// Whether a process runs that is not in the cluster, as far as it knows.
    pub(super) fn is_stray(&self, at: usize) -> bool {
        let first = || Config::new(self.machines[at].address.clone(), self.shape.view.clone(), 0).cluster.fingerprint();
        self.machines[at].strayed && self.machines[at].node.as_ref().is_some_and(|node| node.cluster() != first())
    }

    /// Whether a stray has nowhere to come home to: no view that a coordinator has made names it a member.
    pub(super) fn is_outside(&self, at: usize) -> bool {
        let view = self.view_now();
        self.is_stray(at) && (view.id.epoch == 0 || view.shard_of_member(self.machines[at].id).is_none())
    }

    /// Whether a node waits for strays alone whom nobody can call back: everybody who knew a view that a coordinator has made is gone. To
    /// meet its shard, or, where that has lost its memory, to recover.
    pub(super) fn waits_for_strays(&self, at: usize) -> bool {
        let machine = &self.machines[at];
        let Some(node) = &machine.node else { return false };
        let report = node.report(machine.clock.read(self.now));
        let is_lost = |node: &NodeId| self.index.get(node).is_some_and(|at| self.is_stray(*at));
        let for_strays = match report.met {
            false => !report.waiting_for.is_empty() && report.waiting_for.iter().all(is_lost),
            true => node.shard().is_some_and(|shard| node.view().members_of(shard).iter().any(is_lost)),
        };
        !report.recovered && for_strays && self.insiders().all(|node| node.view().id.epoch == 0)
    }

    /// The processes that are in the cluster.
    pub(super) fn insiders(&self) -> impl Iterator<Item = &Node> {
        let running = |at: usize| self.machines[at].node.as_ref().filter(|_| !self.is_stray(at));
        (0..self.machines.len()).filter_map(running)
    }

    /// Somebody writes to a stray.
    pub(super) fn write_astray(&mut self, at: usize) {
        // What one waits to take that has met nobody it takes as a member, once it is one.
        let machine = &self.machines[at];
        let met = machine.node.as_ref().is_some_and(|node| node.report(machine.clock.read(self.now)).met);
        if !met || !machine.is_running() || !self.is_stray(at) {
            return;
        }
        let action = Action::Put { key: Bytes::from_static(b"stray"), value: Value::json(Bytes::from_static(b"0")) };
        let id = RequestId(STRAY_REQUESTS + self.steps);
        self.step(at, Input::Request { id, request: plain_request(action, Context::default()) });
    }
}
