//! Which money of an order earns.

use rust_decimal::Decimal;

use super::Order;
use crate::domain::money::Money;
use crate::domain::terms::earning::{Discounts, Earning, Part};

impl Order {
    /// The money that earns:
    ///
    /// ```text
    ///   total
    /// − tax, tip, delivery fee, service charge, what was paid by gift card:  each that the program leaves out
    /// − the lines of excluded categories, at price × quantity
    /// + the discount, if the program lets it earn
    /// ```
    ///
    /// and never less than nothing. The total is what the guest paid, so a discount is off it already, and a program
    /// without `[earning]` earns on exactly the total. What the POS does not say counts as nothing. A discount of the
    /// whole order is off what earns: excluded lines go out at their full price.
    pub fn eligible(&self, earning: &Earning) -> Decimal {
        let left_out =
            earning.left_out.iter().filter_map(|part| self.part(*part)).fold(Money::ZERO, Money::plus);
        let barred = self.barred(earning).into_iter().map(|at| self.items[usize::from(at)].total());
        let barred = barred.fold(Decimal::ZERO, Decimal::saturating_add);
        let discount = match earning.discounts {
            Discounts::Earn => self.discount.unwrap_or_default(),
            Discounts::Lost => Money::ZERO,
        };
        let sum = self.total.plus(discount).minus(left_out).decimal().saturating_sub(barred);
        sum.max(Decimal::ZERO)
    }

    /// The lines that do not earn, by their index.
    pub fn barred(&self, earning: &Earning) -> Vec<u16> {
        if earning.excluded_categories.is_empty() {
            return Vec::new();
        }
        let is_barred = |category| earning.excluded_categories.contains(category);
        let lines = (0..).zip(&self.items);
        lines.filter(|(_, item)| item.category.as_ref().is_some_and(is_barred)).map(|(at, _)| at).collect()
    }

    const fn part(&self, part: Part) -> Option<Money> {
        match part {
            Part::Tax => self.tax,
            Part::Tips => self.tip,
            Part::DeliveryFees => self.delivery_fee,
            Part::ServiceCharges => self.service_charge,
            Part::GiftCards => self.gift_card,
        }
    }
}
