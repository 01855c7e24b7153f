mod client;
pub(crate) mod fixtures;
mod http;
mod shapes;

mod fake;
mod lookup;
mod metrics;
