//! A tab as its guest reads it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Demo, Failure};
use crate::access::policy::{self, Place};
use crate::domain::{Cuid, Refusal, RoomName};
use crate::store::{SheetItem, TabSheet};

#[derive(Deserialize)]
pub struct Query {
    tab: String,
}

pub async fn show(demo: web::Data<Demo>, request: HttpRequest, query: web::Query<Query>) -> HttpResponse {
    match demo.tab(&request, &query.tab).await {
        Ok(sheet) => HttpResponse::Ok().json(sheet),
        Err(failure) => failure.into_response(),
    }
}

impl Demo {
    async fn tab(&self, request: &HttpRequest, tab: &str) -> Result<Value, Failure> {
        let identity = self.identify(request).await?;
        let tab = Cuid::parse(tab).ok_or(Refusal::invalid("tab"))?;
        let facts = self.services.store.find_tab(&tab).await?;
        self.check_room(&identity, &RoomName::tab(&tab), Place::of_tab(facts.as_ref()))?;
        let sheet = self.services.store.tab_sheet(&tab).await?.ok_or(policy::TAB_DENIED)?;
        Ok(sheet_json(&sheet))
    }
}

fn sheet_json(TabSheet { tab, venue, table, items }: &TabSheet) -> Value {
    let item = |item: &SheetItem| {
        json!({
            "id": item.id,
            "name": item.name,
            "quantity": item.quantity,
            "priceCents": item.unit_price_cents,
            "status": item.status,
        })
    };
    json!({
        "venue": { "name": venue },
        "tab": {
            "id": tab.id,
            "tabNumber": tab.tab_number,
            "table": table,
            "status": tab.status,
            "subtotalCents": tab.subtotal_cents,
            "taxCents": tab.tax_cents,
            "tipCents": tab.tip_cents,
            "totalCents": tab.total_cents,
        },
        "items": items.iter().map(item).collect::<Vec<_>>(),
    })
}
