//! A slow link: a network device of the switch behind which this program stands in for a long wire. Packets wait here for
//! their time and go on, so TCP sees what it would see on such a wire: late packets, a narrow queue that overflows, and,
//! where that is asked for, packets that overtake one another or come twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::network::{Network, run, succeeds};

/// What waits for a narrow wire; what does not fit is dropped, as routers do.
const QUEUE_MAX: Duration = Duration::from_secs(2);
/// The largest packet of the device.
const PACKET_BYTES: usize = 65_536;
const DEVICE: &str = "slow";

/// How a link is slow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slow {
    /// How long every packet is on its way.
    pub(crate) latency: Duration,
    /// How much longer at most, by chance: packets overtake one another.
    pub(crate) jitter: Duration,
    /// Bits that pass in a second; without it as many as come.
    pub(crate) bits_per_second: Option<u32>,
    /// One packet in so many comes twice.
    pub(crate) duplicate_one_in: Option<usize>,
}

/// The device and the threads behind it. They end with it.
#[derive(Debug)]
pub(crate) struct SlowLink {
    pub(crate) device: &'static str,
    switch: String,
    threads: Vec<JoinHandle<()>>,
}

impl SlowLink {
    /// Makes the device in the switch.
    pub(crate) fn start(network: &Network, slow: Slow) -> Self {
        let switch = network.namespace("switch");
        // The device is made where the thread is that makes it.
        let (mut reader, mut writer) = std::thread::scope(|scope| {
            let made = scope.spawn(|| {
                network.enter("switch");
                let mut configuration = tun::Configuration::default();
                configuration.tun_name(DEVICE).up();
                tun::create(&configuration).expect("the kernel has TUN devices").split()
            });
            made.join().expect("the device is made")
        });
        run(&format!("ip -n {switch} link set {DEVICE} up"));
        let (sender, receiver) = channel();
        let reading = std::thread::spawn(move || {
            let mut packet = vec![0; PACKET_BYTES];
            // An error is the end of the device.
            while let Ok(length) = reader.read(&mut packet) {
                if length == 0 || sender.send(packet[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        let writing = std::thread::spawn(move || deliver(&receiver, slow, |packet| writer.write_all(packet).is_ok()));
        Self { device: DEVICE, switch, threads: vec![reading, writing] }
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        succeeds(&format!("ip -n {} link delete {DEVICE}", self.switch));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Gives each packet on when it is due, until there are no more.
fn deliver(packets: &Receiver<Vec<u8>>, slow: Slow, mut give: impl FnMut(&[u8]) -> bool) {
    let (mut dice, mut number) = (Dice::new(), 0_u64);
    let mut waiting: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>> = BinaryHeap::new();
    let mut wire_free = Instant::now();
    loop {
        let now = Instant::now();
        while waiting.peek().is_some_and(|Reverse((due, _, _))| *due <= now) {
            if let Some(Reverse((_, _, packet))) = waiting.pop()
                && !give(&packet)
            {
                return;
            }
        }
        let patience =
            waiting.peek().map_or(Duration::from_secs(1), |Reverse((due, _, _))| due.saturating_duration_since(now));
        let packet = match packets.recv_timeout(patience) {
            Ok(packet) => packet,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let now = Instant::now();
        if let Some(rate) = slow.bits_per_second {
            if wire_free.saturating_duration_since(now) > QUEUE_MAX {
                continue;
            }
            wire_free = wire_free.max(now) + Duration::from_secs_f64(packet.len() as f64 * 8.0 / f64::from(rate));
        }
        let copies = 1 + usize::from(slow.duplicate_one_in.is_some_and(|one_in| dice.once_in(one_in)));
        for _ in 0..copies {
            let jitter = Duration::from_micros(dice.below(1 + slow.jitter.as_micros() as usize) as u64);
            number += 1;
            waiting.push(Reverse((wire_free.max(now) + slow.latency + jitter, number, packet.clone())));
        }
    }
}
