//! What the tests and the demo stand on: [`bsd`] speaks to the routing socket
//! by hand, [`frame`] builds frames by hand,
//! [`lab`] makes routers, hosts and links out of network namespaces, runs the
//! real daemon in them and sends real traffic through it, [`numbers`] are random
//! ones that can be had again, [`demo`] is the demo, [`rip_bench`] measures RIP beside
//! FRR and BIRD.

pub mod bsd;
mod console;
pub mod demo;
pub mod frame;
pub mod lab;
pub mod numbers;
pub mod rip_bench;
