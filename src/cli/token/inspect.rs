//! What a token says, for a person to read. Shows no secret: whoever has the token can read all of this.

use biscuit_auth::UnverifiedBiscuit;
use biscuit_auth::error::Format;
use chrono::{DateTime, SecondsFormat, Utc};

use crate::config::keys::PublicKeys;
use crate::domain::{RevocationId, Warrant};

pub(super) fn show(token: &UnverifiedBiscuit, keys: &PublicKeys) -> anyhow::Result<()> {
    let key = token.root_key_id().map_or_else(|| "none named".to_owned(), |id| id.to_string());
    println!("root key: {key}");
    for (index, id) in token.revocation_identifiers().iter().enumerate() {
        println!("block {index}, revocation id {}", RevocationId::of(id));
        // A string in a token is printed as it stands: nothing of it may steer a terminal.
        let source = token.print_block_source(index)?;
        for line in source.lines() {
            println!("    {}", line.escape_debug().to_string().replace("\\\"", "\""));
        }
    }
    if keys.is_empty() {
        println!("signature: not checked, BISCUIT_PUBLIC_KEY is not set");
        return Ok(());
    }
    match token.clone().verify(|id| keys.find(id).ok_or(Format::UnknownPublicKey)) {
        Err(Format::UnknownPublicKey) => println!("signature: not of a key in BISCUIT_PUBLIC_KEY"),
        Err(_) => println!("signature: does not hold"),
        Ok(token) => {
            println!("signature: holds");
            match Warrant::read(token) {
                Ok(warrant) => show_warrant(&warrant),
                Err(fault) => println!("refused: {fault}"),
            }
        }
    }
    Ok(())
}

fn show_warrant(warrant: &Warrant) {
    println!("holder: {}", warrant.label);
    match warrant.expires_at {
        None => println!("expires: never"),
        Some(end) => println!("expires: {}", DateTime::<Utc>::from(end).to_rfc3339_opts(SecondsFormat::Secs, true)),
    }
}
