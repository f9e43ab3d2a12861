//! The CDNOW log: every purchase of 23,570 customers of an online shop, 1997-01-01 to 1998-06-30, and a tenth of them
//! as `CDNOW_sample.txt`. Published at brucehardie.com, without a licence that would let us ship it.
//!
//! Included by path into the unit tests of the churn model and into integration tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use chrono::NaiveDate;
use rust_decimal::Decimal;

/// The folder with the log.
const FOLDER: &str = "PUNCHCARD_TEST_DATA";

const HELP: &str = "this test needs the CDNOW log: set PUNCHCARD_TEST_DATA to the folder with CDNOW_sample.txt and \
                    CDNOW_master.txt, from brucehardie.com or from the Python package `lifetimes` (lifetimes/datasets)";

/// Somebody bought something.
pub(crate) struct Purchase {
    pub(crate) customer: u32,
    pub(crate) day: NaiveDate,
    #[allow(dead_code, reason = "the model asks for days only")]
    pub(crate) dollars: Decimal,
}

/// The purchases of a file of the log, in its order.
///
/// # Panics
/// Without the file, with a sentence that says how to get it.
pub(crate) fn purchases(file: &str) -> Vec<Purchase> {
    #[allow(clippy::disallowed_methods, reason = "where test data lie is a matter of the machine")]
    let folder = std::env::var_os(FOLDER).unwrap_or_else(|| panic!("{HELP}"));
    let path = PathBuf::from(folder).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{HELP} ({}: {e})", path.display()));
    let lines = text.lines().enumerate().filter(|(_, line)| !line.contains("customer_id"));
    let read = |(number, line)| {
        purchase(line).unwrap_or_else(|| panic!("{}:{}: not a purchase: {line}", path.display(), number + 1))
    };
    lines.map(read).collect()
}

/// The days on which each customer of a file of the log bought something, in the order of the customers' numbers.
///
/// # Panics
/// As [`purchases`] does.
pub(crate) fn purchase_days(file: &str) -> BTreeMap<u32, BTreeSet<NaiveDate>> {
    let mut customers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for Purchase { customer, day, .. } in purchases(file) {
        customers.entry(customer).or_default().insert(day);
    }
    customers
}

/// A line: customer, date, CDs, dollars. The sample has numbered its customers anew, and names them so second.
fn purchase(line: &str) -> Option<Purchase> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let [.., customer, date, _, dollars] = fields[..] else { return None };
    Some(Purchase {
        customer: customer.parse().ok()?,
        day: NaiveDate::parse_from_str(date, "%Y%m%d").ok()?,
        dollars: dollars.parse().ok()?,
    })
}
