//! stub
use bytes::Bytes; use crate::id::NodeId; use crate::time::Instant;
#[derive(Debug)] pub struct Membership; pub enum Change{Up(NodeId),Down(NodeId)}
impl Membership{ pub fn new(_:NodeId,_:u64,_:u64,_:&[NodeId],_:Instant)->Self{Self} pub fn on_packet(&mut self,_:Instant,_:&[u8])->Result<(),()>{Ok(())} pub fn on_tick(&mut self,_:Instant){} pub fn next_deadline(&self)->Option<Instant>{None} pub fn take_packets(&mut self)->Vec<(NodeId,Bytes)>{vec![]} pub fn take_changes(&mut self)->Vec<Change>{vec![]} pub fn is_up(&self,_:NodeId)->bool{true} }
