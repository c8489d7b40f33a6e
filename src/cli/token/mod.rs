//! `expeditor token`: biscuit tokens, from their keys to their revocation.

mod inspect;
mod narrowing;

use std::io::Read;

use anyhow::{Context, bail};
use biscuit_auth::builder::{fact, string};
use biscuit_auth::{Biscuit, KeyPair, UnverifiedBiscuit};
use clap::{Args, Subcommand};

use crate::config::Config;
use crate::domain::{AuditRecord, Cuid, RevocationId, StaffRole, UserId, Warrant};
use crate::store::{AuditEntry, Store};
use narrowing::Narrowing;

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a pair of keys, as lines for the environment.
    Keygen {
        /// The number by which tokens name the key; a new one for each rotation.
        #[arg(long)]
        id: Option<u32>,
    },
    /// Sign a new token with BISCUIT_PRIVATE_KEY.
    Mint(Mint),
    /// Narrow a token down. Needs no key and no network.
    Attenuate {
        #[command(flatten)]
        narrowing: Narrowing,
        /// Let nobody narrow it further.
        #[arg(long)]
        seal: bool,
        #[command(flatten)]
        token: TokenArgument,
    },
    /// Show what a token says, and whether its signature holds under BISCUIT_PUBLIC_KEY.
    Inspect {
        #[command(flatten)]
        token: TokenArgument,
    },
    /// Revoke a token in the configured database, and with it all that was made from it.
    Revoke(Revoke),
}

#[derive(Args)]
pub struct TokenArgument {
    /// Read from standard input where it is left out, which keeps it out of the list of processes.
    token: Option<String>,
}

#[derive(Args)]
pub struct Mint {
    /// A user of the application; its rights come from the database.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The name of a display, a printer, …
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// The backend, or an operator.
    #[arg(long, value_name = "ROLE", value_parser = ["SYSTEM", "ADMIN"])]
    role: Vec<String>,
    /// Acts as staff of the venue in this role.
    #[arg(long, value_name = "VENUE=ROLE")]
    staff: Vec<String>,
    /// May enter the tab's room until the tab closes.
    #[arg(long, value_name = "ID")]
    tab: Vec<String>,
    #[command(flatten)]
    narrowing: Narrowing,
}

#[derive(Args)]
pub struct Revoke {
    /// The revocation id, as `inspect` shows it, instead of a token.
    #[arg(long, value_name = "HEX", conflicts_with_all = ["token", "family"])]
    id: Option<String>,
    /// Revoke the token that this one was made from, and all others that were.
    #[arg(long)]
    family: bool,
    /// Noted beside it.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    token: TokenArgument,
}

/// Does what the command says.
///
/// # Errors
/// What has to be mended, in one line; never a key or a token.
pub fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Keygen { id } => keygen(id),
        TokenCommand::Mint(mint) => println!("{}", mint.sign()?.to_base64()?),
        TokenCommand::Attenuate { narrowing, seal, token } => {
            if narrowing.is_empty() && !seal {
                bail!("nothing to narrow the token down to; see --help");
            }
            let narrowed = token.read()?.append(narrowing.block()?).context("the token is sealed")?;
            let narrowed = if seal { narrowed.seal()? } else { narrowed };
            println!("{}", narrowed.to_base64()?);
        }
        TokenCommand::Inspect { token } => inspect::show(&token.read()?, &Config::from_env()?.auth.biscuit_keys)?,
        TokenCommand::Revoke(revoke) => revoke.run()?,
    }
    Ok(())
}

fn keygen(id: Option<u32>) {
    let keys = KeyPair::new();
    let id = id.map(|id| format!("{id}=")).unwrap_or_default();
    println!("BISCUIT_PRIVATE_KEY={id}{}", keys.private().to_prefixed_string());
    println!("BISCUIT_PUBLIC_KEY={id}ed25519/{}", keys.public().to_bytes_hex());
}

impl TokenArgument {
    fn read(self) -> anyhow::Result<UnverifiedBiscuit> {
        let mut text = self.token.unwrap_or_default();
        if text.is_empty() {
            std::io::stdin().read_to_string(&mut text).context("no token on standard input")?;
        }
        UnverifiedBiscuit::from_base64(text.trim()).map_err(|_| anyhow::anyhow!("this is no biscuit token"))
    }
}

impl Mint {
    fn sign(&self) -> anyhow::Result<Biscuit> {
        let key = Config::from_env()?.auth.biscuit_signing_key;
        let key = key.context("BISCUIT_PRIVATE_KEY: missing; it takes what `expeditor token keygen` prints")?;
        let mut builder = Biscuit::builder().merge(self.narrowing.block()?);
        for (name, terms) in self.facts()? {
            builder = builder.fact(fact(name, &terms.iter().map(|term| string(term)).collect::<Vec<_>>()))?;
        }
        if let Some(id) = key.id {
            builder = builder.root_key_id(id);
        }
        let token = builder.build(&KeyPair::from(&key.key))?;
        // What is signed here is taken there.
        Warrant::read(token.clone()).context("such a token would be refused")?;
        Ok(token)
    }

    fn facts(&self) -> anyhow::Result<Vec<(&'static str, Vec<&str>)>> {
        let mut facts = Vec::new();
        if let Some(user) = &self.user {
            UserId::parse(user).context("--user: not the form of a user's id")?;
            facts.push(("user", vec![user.as_str()]));
        }
        facts.extend(self.device.as_ref().map(|device| ("device", vec![device.as_str()])));
        facts.extend(self.role.iter().map(|role| ("role", vec![role.as_str()])));
        for staff in &self.staff {
            let (venue, role) = staff.split_once('=').context("--staff: it takes VENUE=ROLE")?;
            Cuid::parse(venue).context("--staff: not the form of a venue's id")?;
            StaffRole::parse(role).with_context(|| format!("--staff: {role:?} is no role; such as CHEF or SERVER"))?;
            facts.push(("staff", vec![venue, role]));
        }
        for tab in &self.tab {
            Cuid::parse(tab).context("--tab: not the form of a tab's id")?;
            facts.push(("tab", vec![tab.as_str()]));
        }
        Ok(facts)
    }
}

impl Revoke {
    fn run(self) -> anyhow::Result<()> {
        let id = if let Some(id) = self.id {
            RevocationId::parse(&id).context("--id: it takes a revocation id as `inspect` shows it")?
        } else {
            let ids = self.token.read()?.revocation_identifiers();
            let id = if self.family { ids.first() } else { ids.last() };
            RevocationId::of(id.context("this is no biscuit token")?)
        };
        let config = Config::from_env()?;
        let store =
            Store::open(&config.database, &config.log).context("DATABASE_URL: the database cannot be opened")?;
        let revoked = store.block_on(store.revoke(&id, self.reason));
        let is_new = revoked.context("not revoked; `expeditor migrate` brings a database up to date")?;
        // Best effort: the token is revoked already.
        store.block_on(store.append_audit([AuditEntry::now(AuditRecord::revoked(id.as_str()))].into())).ok();
        println!("{} {id}", if is_new { "revoked" } else { "was revoked before:" });
        Ok(())
    }
}
