//! What a biscuit says: the facts that have a meaning here, its checks, and how long it can hold.
//!
//! Whoever holds a biscuit may append blocks to it offline, so everything past the first block was
//! written by a stranger. What such a stranger could make expensive is refused here, once, before
//! any of it is evaluated: the library's own limits do not look inside one step of an evaluation.

mod bounds;
mod lifetime;

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use biscuit_auth::builder::{Fact, Term};
use biscuit_auth::{AuthorizerBuilder, Biscuit};

use super::{Cuid, StaffRole, UserId};

/// The name under which one block of a token is revoked, and with it all that was appended to it: the
/// block's signature.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevocationId(Arc<str>);

impl RevocationId {
    /// Signatures of both algorithms are 64 to 72 bytes long.
    const HEX_DIGITS: std::ops::RangeInclusive<usize> = 32..=160;

    pub fn of(signature: &[u8]) -> Self {
        let mut hex = String::with_capacity(signature.len() * 2);
        // Writing to a string does not fail.
        signature.iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap_or_default());
        Self(hex.into())
    }

    /// Returns `None` where the text is not a signature in lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (digits && text.len().is_multiple_of(2) && Self::HEX_DIGITS.contains(&text.len())).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough of it to tell tokens apart in a log.
    fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for RevocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RevocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Why a token whose signature holds is refused nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WarrantFault {
    #[error("it cannot be read")]
    Unreadable,
    #[error("it names nobody: it has no fact of user, device, role, staff or tab")]
    NamesNobody,
    #[error("it names more than one {0}")]
    Several(&'static str),
    #[error("its fact {0} is not of the form that this service knows")]
    Form(String),
    #[error("{0} is said by this service, and by no token")]
    Reserved(String),
    #[error("it has rules, or facts past its first block")]
    Derives,
    #[error("it has more than {0}")]
    TooMuch(&'static str),
    #[error("its checks may use no regular expression, no function and no quantifier")]
    Expensive,
}

/// A biscuit that was read. Its signature has been verified, or nobody relies on it.
#[derive(Clone)]
pub struct Warrant {
    /// For the policy, which asks all of it, checks included.
    pub token: Biscuit,
    pub user: Option<UserId>,
    /// How a log calls its holder.
    pub label: Box<str>,
    /// `role("SYSTEM")`: the restaurant's backend.
    pub is_backend: bool,
    /// One for each block; the first block's names the whole family.
    pub revocation_ids: Vec<RevocationId>,
    /// After this no check on the time can hold.
    pub expires_at: Option<SystemTime>,
    /// The moments, ascending, at which a decision about it may become another.
    pub turning_points: Vec<SystemTime>,
}

/// What the policy is told by this service. A token that said it could put itself anywhere.
const RESERVED: [&str; 10] = [
    "operation",
    "room",
    "venue",
    "time",
    "tab_server",
    "tab_customer",
    "tab_status",
    "new_status",
    "works_in",
    "cooks_in",
];

/// Whether Datalog names a public key. Nothing here trusts blocks of third parties, and the library
/// panics over a key that is no point of its curve.
pub fn names_a_key(datalog: &str) -> bool {
    ["ed25519/", "secp256r1/"].iter().any(|algorithm| datalog.contains(algorithm))
}

impl Warrant {
    /// Blocks of a token, its first included.
    pub const MAX_BLOCKS: usize = 16;

    /// # Errors
    /// Why nothing is done on its word.
    pub fn read(token: Biscuit) -> Result<Self, WarrantFault> {
        if token.block_count() > Self::MAX_BLOCKS {
            return Err(WarrantFault::TooMuch("16 blocks"));
        }
        let authorizer = AuthorizerBuilder::new().build(&token).map_err(|_| WarrantFault::Unreadable)?;
        let snapshot = authorizer.snapshot().map_err(|_| WarrantFault::Unreadable)?;
        let mut appended = snapshot.world.blocks.iter().skip(1);
        let (facts, rules, checks, _) = authorizer.dump();
        if !rules.is_empty() || appended.any(|block| !block.facts.is_empty()) {
            return Err(WarrantFault::Derives);
        }
        bounds::check(&facts, &checks)?;
        let named = Named::read(&facts)?;
        let revocation_ids: Vec<_> = token.revocation_identifiers().iter().map(|id| RevocationId::of(id)).collect();
        let label = named.label(revocation_ids.first().ok_or(WarrantFault::Unreadable)?);
        Ok(Self {
            user: named.user,
            label,
            is_backend: named.is_backend,
            revocation_ids,
            expires_at: lifetime::end(&checks),
            turning_points: lifetime::turning_points(&facts, &checks),
            token,
        })
    }

    /// What all tokens have in common that were made from one.
    pub fn family(&self) -> &RevocationId {
        &self.revocation_ids[0]
    }
}

// A token opens doors: it has no place in a log.
impl fmt::Debug for Warrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warrant")
            .field("label", &self.label)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The facts that have a meaning.
#[derive(Default)]
struct Named {
    user: Option<UserId>,
    device: Option<String>,
    is_backend: bool,
    is_admin: bool,
    staff: bool,
    tab: Option<Cuid>,
}

impl Named {
    fn read(facts: &[Fact]) -> Result<Self, WarrantFault> {
        let mut named = Self::default();
        for fact in facts {
            named.take(fact)?;
        }
        let Self { user, device, is_backend, is_admin, staff, tab } = &named;
        if user.is_none() && device.is_none() && tab.is_none() && !(*is_backend || *is_admin || *staff) {
            return Err(WarrantFault::NamesNobody);
        }
        Ok(named)
    }

    fn take(&mut self, fact: &Fact) -> Result<(), WarrantFault> {
        let form = || WarrantFault::Form(fact.predicate.name.clone());
        match (fact.predicate.name.as_str(), fact.predicate.terms.as_slice()) {
            ("user", [Term::Str(id)]) => {
                let user = UserId::parse(id).ok_or_else(form)?;
                self.user.replace(user).map_or(Ok(()), |_| Err(WarrantFault::Several("user")))
            }
            ("device", [Term::Str(name)]) if (1..=64).contains(&name.len()) && !name.contains(char::is_control) => {
                self.device.replace(name.clone()).map_or(Ok(()), |_| Err(WarrantFault::Several("device")))
            }
            ("role", [Term::Str(role)]) if role == "SYSTEM" => {
                self.is_backend = true;
                Ok(())
            }
            ("role", [Term::Str(role)]) if role == "ADMIN" => {
                self.is_admin = true;
                Ok(())
            }
            ("staff", [Term::Str(venue), Term::Str(role)]) => {
                Cuid::parse(venue).zip(StaffRole::parse(role)).ok_or_else(form)?;
                self.staff = true;
                Ok(())
            }
            ("tab", [Term::Str(id)]) => {
                self.tab = Some(Cuid::parse(id).ok_or_else(form)?);
                Ok(())
            }
            ("user" | "device" | "role" | "staff" | "tab", _) => Err(form()),
            (name, _) if RESERVED.contains(&name) => Err(WarrantFault::Reserved(name.to_owned())),
            // A token may say more to its own checks.
            _ => Ok(()),
        }
    }

    fn label(&self, id: &RevocationId) -> Box<str> {
        let Self { user, device, is_backend, is_admin, tab, .. } = self;
        let who = match (user, device, tab) {
            (Some(user), ..) => user.to_string(),
            (None, Some(device), _) => format!("device {device}"),
            (None, None, Some(tab)) => format!("guest of {tab}"),
            _ if *is_backend => "SYSTEM".to_owned(),
            _ if *is_admin => "ADMIN".to_owned(),
            _ => "staff".to_owned(),
        };
        format!("{who} (token {})", id.short()).into()
    }
}

#[cfg(test)]
mod tests;
