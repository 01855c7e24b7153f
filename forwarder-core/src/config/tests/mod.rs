mod errors;
mod example;
mod glob;
mod values;

use super::{Config, ConfigError};

fn good(text: &str) -> Config {
    Config::parse("test.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn bad(text: &str) -> ConfigError {
    match Config::parse("test.toml", text) {
        Ok(config) => panic!("accepted: {text}\n{config:?}"),
        Err(error) => error,
    }
}
