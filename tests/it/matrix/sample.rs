//! What the sample rows have not got: users, and a tab, in every state that makes a difference.

use crate::support::Instance;
use crate::support::people::{BISTRO, DINER, SERVER};
use crate::support::staff::hire;

pub const PASSER_BY: &str = "cuserpasserby0000000000009";
pub const ON_LEAVE: &str = "cuseronleave00000000000010";
pub const HOST_OF_BOTH: &str = "cuserhostofboth00000000011";
pub const SUSPENDED: &str = "cusersuspended000000000012";
pub const FORMER_SERVER: &str = "cuserformerserver000000013";

/// Of the Bistro, opened by one who is staff no more.
pub const OTHER_TAB: &str = "ctabbistro0000000000000002";
pub const OTHER_TABS_ITEM: &str = "citem000000000000000000003";
/// Of the Bistro, without a customer.
pub const CLOSED_TAB: &str = "ctabclosed0000000000000004";
pub const SERVERS_NOTE: &str = "cnotif00000000000000000002";

pub fn insert(instance: &Instance) {
    hire(instance);
    instance.execute(&format!(
        "INSERT INTO users (id, status) VALUES
           ('{PASSER_BY}', 'ACTIVE'), ('{ON_LEAVE}', 'ACTIVE'), ('{HOST_OF_BOTH}', 'ACTIVE'),
           ('{SUSPENDED}', 'SUSPENDED'), ('{FORMER_SERVER}', 'ACTIVE');
         INSERT INTO venue_staff (id, venue_id, user_id, role, status) VALUES
           ('cstaffmatrix1', '{BISTRO}', '{ON_LEAVE}', 'CHEF', 'ON_LEAVE'),
           ('cstaffmatrix2', '{BISTRO}', '{HOST_OF_BOTH}', 'HOST', 'ACTIVE'),
           ('cstaffmatrix3', '{DINER}', '{HOST_OF_BOTH}', 'HOST', 'ACTIVE'),
           ('cstaffmatrix4', '{BISTRO}', '{SUSPENDED}', 'CHEF', 'ACTIVE'),
           ('cstaffmatrix5', '{BISTRO}', '{FORMER_SERVER}', 'SERVER', 'TERMINATED');
         UPDATE tabs SET server_id = '{FORMER_SERVER}' WHERE id = '{OTHER_TAB}';
         INSERT INTO tabs (id, venue_id, server_id, tab_number, status) VALUES
           ('{CLOSED_TAB}', '{BISTRO}', '{SERVER}', 9, 'CLOSED');"
    ));
}
