//! Money as exact decimals and points as whole numbers.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount in the chain's currency, in major units (`24.50` dollars). Exact: it is read from its text and never
/// passes through a binary float.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(Decimal);

/// Why a text is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMoney {
    /// Not a plain decimal number.
    #[error("must be a plain decimal number such as 24.50")]
    NotDecimal,
    /// Beyond [`Money::LIMIT`].
    #[error("must lie between -{limit} and {limit}", limit = Money::LIMIT)]
    TooLarge,
    /// More decimals than the currency has.
    #[error("has {found} decimals, but {currency} has {allowed}")]
    Scale {
        /// Decimals found.
        found: u32,
        /// Decimals of the currency.
        allowed: u32,
        /// ISO 4217 code.
        currency: String,
    },
    /// Below zero where only an amount makes sense.
    #[error("must not be negative")]
    Negative,
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// No single amount may exceed this many major units; sums stay far from the 28 digits of `Decimal`.
    pub const LIMIT: i64 = 1_000_000_000_000;
    /// What the longest amount takes to write: 29 digits, a point, a sign and a zero before the point.
    const MAX_DIGITS: usize = 32;

    /// Wraps a decimal that the engine computed.
    pub const fn new(amount: Decimal) -> Self {
        Self(amount)
    }

    /// The exact amount.
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// Refuses amounts beyond [`Money::LIMIT`]. For what comes from outside: stored sums may be larger.
    pub fn limited(self) -> Result<Self, BadMoney> {
        if self.0.abs() > Decimal::from(Self::LIMIT) { Err(BadMoney::TooLarge) } else { Ok(self) }
    }

    /// Refuses amounts below zero, beyond [`Money::LIMIT`], and with more decimals than `currency` has. Trailing zeros
    /// do not count.
    pub fn checked(self, currency: &Currency) -> Result<Self, BadMoney> {
        let amount = self.limited()?.0.normalize();
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(BadMoney::Negative);
        }
        if amount.scale() > currency.exponent {
            let currency_code = currency.code.clone();
            return Err(BadMoney::Scale {
                found: amount.scale(),
                allowed: currency.exponent,
                currency: currency_code,
            });
        }
        Ok(self)
    }

    /// Sum; saturates at the limits of `Decimal`, which checked amounts cannot reach.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Difference; saturates likewise.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// An amount as a whole number of units with so many decimals: what a [`Decimal`] is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    units: i128,
    decimals: u32,
}

impl Units {
    /// `units` with so many decimals; `None` of more of either than a [`Decimal`] has.
    #[inline]
    pub fn new(units: i128, decimals: u32) -> Option<Self> {
        let fits =
            units.unsigned_abs() <= Decimal::MAX.mantissa().unsigned_abs() && decimals <= Decimal::MAX_SCALE;
        fits.then_some(Self { units, decimals })
    }

    /// The amount.
    pub fn money(self) -> Money {
        Money(Decimal::from_i128_with_scale(self.units, self.decimals))
    }
}

/// A sum in the making; it saturates as [`Money::plus`] does. Amounts with as many decimals as the first one, which most
/// have, are added as whole numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnitSum {
    sum: Option<Units>,
    others: Money,
}

impl UnitSum {
    /// Adds one more.
    #[inline]
    pub fn add(&mut self, amount: Units) {
        let Some(sum) = self.sum else {
            self.sum = Some(amount);
            return;
        };
        match Units::new(sum.units + amount.units, sum.decimals) {
            Some(larger) if amount.decimals == sum.decimals => self.sum = Some(larger),
            _ => self.others = self.others.plus(amount.money()),
        }
    }

    /// What they come to.
    pub fn money(self) -> Money {
        self.sum.map_or(Money::ZERO, Units::money).plus(self.others)
    }
}

impl FromStr for Money {
    type Err = BadMoney;
    fn from_str(text: &str) -> Result<Self, BadMoney> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.ends_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !plain || digits.len() > 40 {
            return Err(if digits.len() > 40 { BadMoney::TooLarge } else { BadMoney::NotDecimal });
        }
        let amount = Decimal::from_str_exact(text).map_err(|e| match e {
            rust_decimal::Error::ExceedsMaximumPossibleValue | rust_decimal::Error::Underflow => {
                BadMoney::TooLarge
            }
            _ if digits.len() > 20 => BadMoney::TooLarge,
            _ => BadMoney::NotDecimal,
        })?;
        Ok(Self(amount))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// As a JSON number with exactly its decimals. Works with serde_json's text serializer only, which is all we use.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0; Self::MAX_DIGITS];
        let mut rest = &mut buffer[..];
        write!(rest, "{}", self.0).map_err(serde::ser::Error::custom)?;
        let unused = rest.len();
        let text = &buffer[..Self::MAX_DIGITS - unused];
        serde_json::from_slice::<&RawValue>(text).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        if generator.contract().is_serialize() {
            return json_schema!({ "type": "number" });
        }
        json_schema!({ "type": ["number", "string"], "pattern": r"^-?[0-9]+(\.[0-9]+)?$" })
    }
}

/// From a JSON number or string, by its text.
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        inner.parse().map_err(serde::de::Error::custom)
    }
}

/// A currency and how many decimals its amounts have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency {
    /// ISO 4217 code, upper case.
    pub code: String,
    /// Decimals of the minor unit: 2 for USD, 0 for JPY, 3 for KWD.
    pub exponent: u32,
}

/// Why a text is not a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 code of three capital letters, such as USD")]
pub struct BadCurrency;

impl FromStr for Currency {
    type Err = BadCurrency;
    fn from_str(code: &str) -> Result<Self, BadCurrency> {
        if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(BadCurrency);
        }
        // The exceptions to two decimals, from ISO 4217 (list one, minor unit column).
        let exponent = match code {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
            | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        };
        Ok(Self { code: code.to_owned(), exponent })
    }
}

/// A number of points. Never a fraction: rules state how they round.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Points(pub i64);

impl Points {
    /// None.
    pub const ZERO: Self = Self(0);
    /// No single award, deduction or balance may exceed this; it keeps sums far from overflow.
    pub const LIMIT: i64 = 1_000_000_000_000;

    /// Whole points of a computed amount: fractions are dropped towards zero, so 54.80 gives 54 and nobody gains by
    /// splitting an order. `None` beyond [`Points::LIMIT`].
    pub fn floor(amount: Decimal) -> Option<Self> {
        let whole = amount.to_i64()?; // which drops fractions
        (whole.unsigned_abs() <= Self::LIMIT.unsigned_abs()).then_some(Self(whole))
    }

    /// Sum, or `None` beyond [`Points::LIMIT`].
    pub fn plus(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0)?;
        (sum.abs() <= Self::LIMIT).then_some(Self(sum))
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_from_its_text_and_written_with_its_decimals() {
        for (json, text) in [("24.50", "24.50"), ("\"0.10\"", "0.10"), ("7", "7"), ("0", "0")] {
            let money: Money = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&money).unwrap(), text);
        }
    }

    #[test]
    fn what_is_not_a_plain_amount_is_refused() {
        for json in
            ["1e5", "1E400", "\"\"", "null", "true", "[]", "\"1,5\"", "\" 1\"", "\".5\"", "\"NaN\"", "\"+1\""]
        {
            assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
        }
        assert_eq!("123456789012345678901234567890".parse::<Money>(), Err(BadMoney::TooLarge));
    }

    #[test]
    fn a_currency_limits_the_decimals() {
        let usd: Currency = "USD".parse().unwrap();
        let jpy: Currency = "JPY".parse().unwrap();
        let money = |text: &str| text.parse::<Money>().unwrap();
        assert!(money("24.50").checked(&usd).is_ok());
        assert!(money("24.500").checked(&usd).is_ok());
        assert!(money("24.505").checked(&usd).is_err());
        assert!(money("24.5").checked(&jpy).is_err());
        assert_eq!(money("-1").checked(&usd), Err(BadMoney::Negative));
    }

    fn sum_of(amounts: impl Iterator<Item = Money>) -> Money {
        let mut sum = UnitSum::default();
        for Money(amount) in amounts {
            sum.add(Units::new(amount.mantissa(), amount.scale()).unwrap());
        }
        sum.money()
    }

    #[test]
    fn amounts_are_summed_whatever_their_decimals() {
        for (amounts, sum) in [
            (&[][..], "0"),
            (&["24.50"], "24.50"),
            (&["24.50", "0.10", "-3.05"], "21.55"),
            (&["7", "0.10", "3", "0.005"], "10.105"),
            (&["-0.10", "-7"], "-7.10"),
        ] {
            let total = sum_of(amounts.iter().map(|text| text.parse().unwrap()));
            assert_eq!(total.decimal().to_string(), sum, "{amounts:?}");
        }
        let long = || "1.0000000000000000000000000000".parse::<Money>().unwrap();
        assert_eq!(sum_of(std::iter::repeat_with(long).take(9)), "9".parse().unwrap());
        let most = Money(Decimal::MAX);
        assert_eq!(sum_of([most, most].into_iter()), most);
    }

    #[test]
    fn there_are_no_more_units_and_decimals_than_an_amount_can_have() {
        let most = Decimal::MAX.mantissa();
        for (units, decimals, is_some) in
            [(most, 28, true), (-most, 0, true), (most + 1, 0, false), (-most - 1, 2, false), (1, 29, false)]
        {
            assert_eq!(Units::new(units, decimals).is_some(), is_some, "{units} {decimals}");
        }
    }

    #[test]
    fn points_drop_fractions_and_never_wrap() {
        let points = |text: &str| Points::floor(text.parse().unwrap());
        assert_eq!(points("54.80"), Some(Points(54)));
        assert_eq!(points("-54.80"), Some(Points(-54)));
        assert_eq!(points("0.999"), Some(Points(0)));
        assert_eq!(points("99999999999999"), None);
        assert_eq!(points("-9223372036854775808"), None);
        assert_eq!(Points(Points::LIMIT).plus(Points(1)), None);
    }
}
