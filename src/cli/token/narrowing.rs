//! What a token is narrowed down to, as checks.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use biscuit_auth::BlockBuilder;
use biscuit_auth::builder::{Term, date, string};
use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::access::policy::Operation;
use crate::domain::{Cuid, RoomName, names_a_key};

/// Entering rooms, and nothing else.
const READING: [&str; 5] = ["connect", "tab:join", "venue:join", "kitchen:join", "table:join"];

#[derive(Args)]
pub struct Narrowing {
    /// Only in this room, such as kitchen:ID; several are alternatives. An item's room is its venue's kitchen.
    #[arg(long, value_name = "KIND:ID")]
    room: Vec<String>,
    /// Only in rooms of this venue, those of its tabs and tables included; several are alternatives.
    #[arg(long, value_name = "ID")]
    venue: Vec<String>,
    /// Only this operation; several are alternatives.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Operation::NAMES))]
    operation: Vec<String>,
    /// Only entering rooms.
    #[arg(long, conflicts_with = "operation")]
    read_only: bool,
    /// For so long from now on: 45m, 8h, 30d.
    #[arg(long, value_name = "TIME", conflicts_with = "expires_at")]
    expires_in: Option<String>,
    /// Until then: 2030-01-31T02:00:00Z.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Another check or rejection in Datalog, over operation, room, venue and time.
    #[arg(long, value_name = "DATALOG")]
    check: Vec<String>,
}

impl Narrowing {
    pub fn is_empty(&self) -> bool {
        let Self { room, venue, operation, read_only, expires_in, expires_at, check } = self;
        let lists = [room, venue, operation, check];
        lists.iter().all(|list| list.is_empty()) && !read_only && expires_in.is_none() && expires_at.is_none()
    }

    /// The checks, as a block of their own.
    pub fn block(&self) -> anyhow::Result<BlockBuilder> {
        let mut block = BlockBuilder::new();
        // Values go in as parameters, never as text.
        let mut add = |code: &str, params: HashMap<String, Term>| -> anyhow::Result<()> {
            block = std::mem::take(&mut block).code_with_params(code, params, HashMap::new())?;
            Ok(())
        };
        if let Some((code, params)) = self.rooms()? {
            add(&code, params)?;
        }
        if let Some(venues) = self.venues()? {
            add("check if venue($venue), {venues}.contains($venue)", params("venues", venues))?;
        }
        if let Some(operations) = self.operations() {
            add("check if operation($operation), {operations}.contains($operation)", params("operations", operations))?;
        }
        if let Some(end) = self.end()? {
            add("check if time($time), $time < {end}", params("end", date(&end)))?;
        }
        for check in &self.check {
            let check = check.trim();
            if !check.starts_with("check ") && !check.starts_with("reject ") {
                bail!("--check: it takes `check if …`, `check all …` or `reject if …`");
            }
            if names_a_key(check) {
                bail!("--check: blocks of third parties are not trusted here, so no key can be named");
            }
            add(check, HashMap::new()).context("--check")?;
        }
        if !block.facts.is_empty() || !block.rules.is_empty() {
            bail!("--check: only checks can be added");
        }
        Ok(block)
    }

    fn rooms(&self) -> anyhow::Result<Option<(String, HashMap<String, Term>)>> {
        let mut params = HashMap::new();
        let mut alternatives = Vec::new();
        for (index, room) in self.room.iter().enumerate() {
            let name =
                RoomName::parse(room).with_context(|| format!("--room: {room:?} is no room, such as kitchen:ID"))?;
            params.insert(format!("kind{index}"), string(name.kind().as_str()));
            params.insert(format!("id{index}"), string(name.id()));
            alternatives.push(format!("room({{kind{index}}}, {{id{index}}})"));
        }
        Ok((!alternatives.is_empty()).then(|| (format!("check if {}", alternatives.join(" or ")), params)))
    }

    fn venues(&self) -> anyhow::Result<Option<Term>> {
        let venue = |id: &String| Cuid::parse(id).map(|_| string(id)).context("--venue: not the form of a venue's id");
        let venues = self.venue.iter().map(venue).collect::<anyhow::Result<BTreeSet<_>>>()?;
        Ok((!venues.is_empty()).then_some(Term::Set(venues)))
    }

    fn operations(&self) -> Option<Term> {
        let named = self.operation.iter().map(String::as_str);
        let reading = READING.into_iter().filter(|_| self.read_only);
        let operations: BTreeSet<Term> = named.chain(reading).map(string).collect();
        (!operations.is_empty()).then_some(Term::Set(operations))
    }

    fn end(&self) -> anyhow::Result<Option<SystemTime>> {
        if let Some(time) = &self.expires_at {
            let end: DateTime<Utc> =
                time.parse().context("--expires-at: it takes a time such as 2030-01-31T02:00:00Z")?;
            if end.timestamp() < 0 {
                bail!("--expires-at: before 1970");
            }
            return Ok(Some(end.into()));
        }
        let Some(time) = &self.expires_in else { return Ok(None) };
        let length = parse_length(time).context("--expires-in: it takes a length such as 45m, 8h or 30d")?;
        Ok(Some(SystemTime::now().checked_add(length).context("--expires-in: too long")?))
    }
}

fn params(name: &str, value: Term) -> HashMap<String, Term> {
    HashMap::from([(name.to_owned(), value)])
}

/// A whole number of seconds, minutes, hours or days; ten years at most.
fn parse_length(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let length = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    (length <= 3_650 * 86_400).then(|| Duration::from_secs(length))
}
