//! One of every role in each of the two venues.

use super::Instance;
use super::people::{BISTRO, DINER};

/// The roles of `venue_staff`, those that may enter a kitchen first.
pub const ROLES: [&str; 12] = [
    "OWNER",
    "MANAGER",
    "ASSISTANT_MANAGER",
    "KITCHEN_MANAGER",
    "CHEF",
    "LINE_COOK",
    "PREP_COOK",
    "SERVER",
    "BARTENDER",
    "HOST",
    "DISHWASHER",
    "BUSSER",
];
pub const IN_KITCHEN: usize = 7;

/// The user who has this role in this venue, and nothing else.
pub fn one_with(role: &str, venue: &str) -> String {
    format!("cstaff{role}of{venue}")
}

pub fn hire(instance: &Instance) {
    for venue in [BISTRO, DINER] {
        for role in ROLES {
            let user = one_with(role, venue);
            instance.execute(&format!(
                "INSERT INTO users (id) VALUES ('{user}');
                 INSERT INTO venue_staff (id, venue_id, user_id, role) VALUES ('{user}', '{venue}', '{user}', '{role}');"
            ));
        }
    }
}
