mod agreement;
mod client;
mod server;

use super::*;
use crate::deflate::WindowBits;
use crate::handshake::{parse_extensions, write_extensions};

const KIB: usize = 1024;

/// What [`config`] needs for what the peer sends.
const WINDOW: usize = 32 * KIB;
/// What it needs for what it sends.
const COMPRESSOR: usize = compressor_size(15, 8);

fn config() -> Config {
    Config { server_context_takeover: true, client_context_takeover: true, ..Config::default() }
}

fn server_bits(bits: u8) -> Config {
    Config { server_max_window_bits: WindowBits::new(bits).unwrap(), ..config() }
}

fn client_bits(bits: u8) -> Config {
    Config { client_max_window_bits: WindowBits::new(bits).unwrap(), ..config() }
}

fn room() -> Arc<ContextMemory> {
    memory(16 * KIB * KIB)
}

fn memory(limit: usize) -> Arc<ContextMemory> {
    Arc::new(ContextMemory::new(limit))
}

fn parse(text: &str) -> Vec<Extension> {
    parse_extensions([text.as_bytes()]).unwrap()
}

/// What a server with `config` answers.
fn answer(offers: &str, config: &Config) -> Option<String> {
    let negotiated = negotiate(&parse(offers), config, &room())?;
    Some(write_extensions(&[negotiated.extension()]).unwrap())
}

fn offered(config: &Config, memory: &Arc<ContextMemory>) -> String {
    write_extensions(&offers(config, memory)).unwrap()
}

/// What a client makes of `answer` to `offers`.
fn accepted(answer: &str, offers: &str, config: &Config) -> Result<Option<Negotiated>, AgreementError> {
    accept(&parse(answer), &parse(offers), config, &room())
}

fn agreed(answer: &str, offers: &str, config: &Config) -> Agreed {
    accepted(answer, offers, config).unwrap().unwrap().agreed
}

fn error(answer: &str, offers: &str) -> AgreementError {
    accepted(answer, offers, &config()).unwrap_err()
}

fn direction(context_takeover: bool, window_bits: u8) -> Direction {
    Direction { context_takeover, window_bits }
}
