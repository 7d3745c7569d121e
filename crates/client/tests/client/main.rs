//! The client against scripted nodes on real sockets.

mod failover;
mod routing;
mod scripted_node;
mod session_files;
mod sessions;
mod values;
mod views;
