//! Who may enter a room and change a ticket: pure decisions over facts that the caller has read.

use crate::domain::{Cuid, Identity, KitchenStatus, Refusal, RoomKind, StaffRole, TabFacts, TableFacts, UserFacts};

pub const TAB_DENIED: Refusal = Refusal::forbidden("Access denied to tab");
pub const VENUE_DENIED: Refusal = Refusal::forbidden("Not authorized for this venue");
pub const KITCHEN_DENIED: Refusal = Refusal::forbidden("Not authorized for kitchen");
pub const TABLE_DENIED: Refusal = Refusal::forbidden("Access denied to table");
pub const BROADCAST_DENIED: Refusal = Refusal::forbidden("Unauthorized broadcast");

/// What someone is told who may not be in a room of this kind.
pub const fn denied(kind: RoomKind) -> Refusal {
    match kind {
        RoomKind::Tab => TAB_DENIED,
        RoomKind::Venue => VENUE_DENIED,
        RoomKind::Kitchen => KITCHEN_DENIED,
        RoomKind::Table => TABLE_DENIED,
        RoomKind::User => Refusal::forbidden("Access denied"),
    }
}

fn role_in(identity: &Identity, venue: &Cuid) -> Option<StaffRole> {
    identity.user().and_then(|user| user.role_in(venue))
}

fn allow_if(allowed: bool, refusal: Refusal) -> Result<(), Refusal> {
    if allowed { Ok(()) } else { Err(refusal) }
}

/// The tab's customer, the server who opened it, any active staff of its venue.
/// A tab that is unknown is refused as another's is, so that ids cannot be probed.
///
/// # Errors
/// `FORBIDDEN` to everybody else.
pub fn enter_tab(identity: &Identity, tab: Option<&TabFacts>) -> Result<(), Refusal> {
    let related = |user: &UserFacts, tab: &TabFacts| {
        tab.customer.as_ref() == Some(&user.id) || tab.server == user.id || user.role_in(&tab.venue).is_some()
    };
    let allowed = identity.user().zip(tab).is_some_and(|(user, tab)| related(user, tab));
    allow_if(allowed, TAB_DENIED)
}

/// Active staff of the venue.
///
/// # Errors
/// `FORBIDDEN` to everybody else.
pub fn enter_venue(identity: &Identity, venue: &Cuid) -> Result<(), Refusal> {
    allow_if(role_in(identity, venue).is_some(), VENUE_DENIED)
}

/// Active staff of the venue who work in its kitchen or run it.
///
/// # Errors
/// `FORBIDDEN` to everybody else.
pub fn enter_kitchen(identity: &Identity, venue: &Cuid) -> Result<(), Refusal> {
    allow_if(role_in(identity, venue).is_some_and(StaffRole::works_in_kitchen), KITCHEN_DENIED)
}

/// Active staff of the table's venue.
///
/// # Errors
/// `FORBIDDEN` to everybody else.
pub fn enter_table(identity: &Identity, table: Option<&TableFacts>) -> Result<(), Refusal> {
    let allowed = table.is_some_and(|table| role_in(identity, &table.venue).is_some());
    allow_if(allowed, TABLE_DENIED)
}

/// Who may give an item of this tab a state.
///
/// # Errors
/// `FORBIDDEN` to those who may know of the item, `NOT_FOUND` to all others.
pub fn change_item(identity: &Identity, tab: &TabFacts, status: KitchenStatus) -> Result<(), Refusal> {
    let staff = role_in(identity, &tab.venue);
    let allowed = match status {
        KitchenStatus::Delivered => staff.is_some(),
        _ => staff.is_some_and(StaffRole::works_in_kitchen),
    };
    if allowed {
        return Ok(());
    }
    let may_know = identity.is_system() || enter_tab(identity, Some(tab)).is_ok();
    Err(if may_know { KITCHEN_DENIED } else { ITEM_NOT_FOUND })
}

pub const ITEM_NOT_FOUND: Refusal = Refusal::new(crate::domain::ErrorCode::NotFound, "Order item not found");

/// The backend alone publishes.
///
/// # Errors
/// `FORBIDDEN` to everybody else.
pub fn publish(identity: &Identity) -> Result<(), Refusal> {
    allow_if(identity.is_system(), BROADCAST_DENIED)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{ErrorCode, UserId};

    fn cuid(text: &str) -> Cuid {
        Cuid::parse(text).unwrap()
    }

    fn user(id: &str, staff: &[(&str, StaffRole)]) -> Identity {
        let staff = staff.iter().map(|(venue, role)| (cuid(venue), *role)).collect();
        Identity::User(Arc::new(UserFacts { id: UserId::parse(id).unwrap(), staff }))
    }

    const HERE: &str = "cvenuehere";
    const THERE: &str = "cvenuethere";

    fn tab() -> TabFacts {
        TabFacts { venue: cuid(HERE), server: UserId::parse("server").unwrap(), customer: UserId::parse("guest") }
    }

    #[test]
    fn every_role_in_every_room() {
        let kitchen = [
            StaffRole::KitchenManager,
            StaffRole::Chef,
            StaffRole::LineCook,
            StaffRole::PrepCook,
            StaffRole::Owner,
            StaffRole::Manager,
            StaffRole::AssistantManager,
        ];
        for role in StaffRole::ALL {
            let staff = user("someone", &[(HERE, role)]);
            let in_kitchen = kitchen.contains(&role);
            assert_eq!(enter_kitchen(&staff, &cuid(HERE)).is_ok(), in_kitchen, "{role:?}");
            assert_eq!(change_item(&staff, &tab(), KitchenStatus::Ready).is_ok(), in_kitchen, "{role:?}");
            assert!(change_item(&staff, &tab(), KitchenStatus::Delivered).is_ok());
            assert!(enter_venue(&staff, &cuid(HERE)).is_ok());
            assert!(enter_tab(&staff, Some(&tab())).is_ok());
            assert!(enter_table(&staff, Some(&TableFacts { venue: cuid(HERE) })).is_ok());
            assert_eq!(enter_kitchen(&staff, &cuid(THERE)), Err(KITCHEN_DENIED));
            assert_eq!(enter_venue(&staff, &cuid(THERE)), Err(VENUE_DENIED));
            assert_eq!(enter_table(&staff, Some(&TableFacts { venue: cuid(THERE) })), Err(TABLE_DENIED));
        }
    }

    #[test]
    fn a_tab_is_its_customers_and_its_servers_too() {
        for (id, allowed) in [("guest", true), ("server", true), ("stranger", false)] {
            assert_eq!(enter_tab(&user(id, &[]), Some(&tab())).is_ok(), allowed, "{id}");
        }
        assert_eq!(enter_tab(&user("guest", &[]), None), Err(TAB_DENIED));
        assert_eq!(enter_tab(&Identity::System, Some(&tab())), Err(TAB_DENIED));
    }

    #[test]
    fn an_item_of_another_venue_is_not_found() {
        let code = |identity: &Identity, status| change_item(identity, &tab(), status).unwrap_err().code;
        assert_eq!(code(&user("chef", &[(THERE, StaffRole::Chef)]), KitchenStatus::Ready), ErrorCode::NotFound);
        assert_eq!(code(&user("chef", &[(THERE, StaffRole::Chef)]), KitchenStatus::Delivered), ErrorCode::NotFound);
        assert_eq!(code(&user("guest", &[]), KitchenStatus::Delivered), ErrorCode::Forbidden);
        assert_eq!(code(&user("waiter", &[(HERE, StaffRole::Server)]), KitchenStatus::Ready), ErrorCode::Forbidden);
    }

    #[test]
    fn only_the_backend_publishes() {
        assert!(publish(&Identity::System).is_ok());
        assert_eq!(publish(&user("u", &[(HERE, StaffRole::Owner)])), Err(BROADCAST_DENIED));
    }
}
