//! Who a member is, as they or the chain's other systems say. Kept with the member, told only when it changes.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::identity::{BadIdentity, Identity, IdentityKind};
use super::json;
use super::money::Money;
use super::refusal::Refused;
use super::source_event::BadEvent;
use super::text::{Name, Text};

/// The largest profile, in bytes of JSON.
const MAX_BYTES: usize = 4 * 1024;
/// The most e-mail addresses, consents or attributes.
const MAX_ENTRIES: usize = 32;
/// Nobody alive was born before.
const FIRST_YEAR: i32 = 1900;

/// A code such as `en`, `pt-BR`, `AR`.
pub type Code = Text<35>;

/// What is known of the person.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Profile {
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<Name>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<Name>,
    /// The name as the person writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<Name>,
    /// Date of birth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthdate: Option<NaiveDate>,
    /// A document of identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gov_id: Option<GovId>,
    /// Further e-mail addresses, by which the member is not found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<Name>,
    /// The language to write in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Code>,
    /// What the person agreed to, or did not.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub consents: BTreeMap<Name, bool>,
    /// Whatever else the chain's systems keep of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<Name, Attribute>,
}

/// A document of identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GovId {
    /// Its number.
    pub id: Name,
    /// What it is: `DNI`, `passport`.
    #[serde(rename = "type")]
    pub kind: Name,
    /// The country that issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuing_country: Option<Code>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Attribute {
    /// True or false.
    Flag(bool),
    /// A text.
    Text(Name),
    /// A number, kept exactly.
    Number(Money),
}

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        match text.as_bytes() {
            b"true" => Ok(Self::Flag(true)),
            b"false" => Ok(Self::Flag(false)),
            [b'"', ..] => serde_json::from_str(text).map(Self::Text).map_err(D::Error::custom),
            [b'-' | b'0'..=b'9', ..] => text.parse().map(Self::Number).map_err(D::Error::custom),
            _ => Err(D::Error::custom("must be a text, a number, true or false")),
        }
    }
}

/// A part of the profile, by its name in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(into = "&'static str")]
#[schemars(rename_all = "snake_case", inline)]
pub enum ProfileField {
    /// `first_name`
    FirstName,
    /// `last_name`
    LastName,
    /// `full_name`
    FullName,
    /// `birthdate`
    Birthdate,
    /// `gov_id`
    GovId,
    /// `emails`
    Emails,
    /// `language`
    Language,
    /// `consents`
    Consents,
    /// `attributes`
    Attributes,
    /// `identities`: not of the profile, but by what else the member is known.
    Identities,
}

impl ProfileField {
    /// The word used in JSON and in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::FullName => "full_name",
            Self::Birthdate => "birthdate",
            Self::GovId => "gov_id",
            Self::Emails => "emails",
            Self::Language => "language",
            Self::Consents => "consents",
            Self::Attributes => "attributes",
            Self::Identities => "identities",
        }
    }
}

impl From<ProfileField> for &'static str {
    fn from(field: ProfileField) -> Self {
        field.as_str()
    }
}

/// What becomes of one part: nothing when it is not mentioned, nothing left when it is `null`.
#[derive(Debug, Clone, PartialEq, Default)]
enum Edit<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Edit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T: PartialEq> Edit<T> {
    /// Carries it out; answers whether anything changed.
    fn apply(self, to: &mut Option<T>) -> bool {
        let after = match self {
            Self::Keep => return false,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        };
        let changed = *to != after;
        *to = after;
        changed
    }
}

impl<V: PartialEq> Edit<BTreeMap<Name, Option<V>>> {
    /// Carries it out entry by entry; answers whether anything changed.
    fn apply_each(self, to: &mut BTreeMap<Name, V>) -> bool {
        let entries = match self {
            Self::Keep => return false,
            Self::Clear => return !std::mem::take(to).is_empty(),
            Self::Set(entries) => entries,
        };
        let mut changed = false;
        for (name, value) in entries {
            changed |= match value {
                None => to.remove(&name).is_some(),
                Some(value) if to.get(&name) == Some(&value) => false,
                Some(value) => {
                    to.insert(name, value);
                    true
                }
            };
        }
        changed
    }
}

/// A change of what is known of a person. What is not mentioned stays; `null` clears; `consents` and `attributes` change
/// entry by entry. New identities are added to those there are.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileChange {
    #[serde(deserialize_with = "text")]
    #[schemars(with = "String")]
    id: Option<Box<str>>,
    #[serde(deserialize_with = "text")]
    #[schemars(with = "String")]
    card: Option<Box<str>>,
    #[serde(deserialize_with = "text")]
    #[schemars(with = "String")]
    phone: Option<Box<str>>,
    #[serde(deserialize_with = "text")]
    #[schemars(with = "String")]
    email: Option<Box<str>>,
    #[serde(deserialize_with = "text")]
    #[schemars(with = "String")]
    external_id: Option<Box<str>>,
    #[serde(skip)]
    identities: Vec<Identity>,
    #[schemars(with = "Option<Name>")]
    first_name: Edit<Name>,
    #[schemars(with = "Option<Name>")]
    last_name: Edit<Name>,
    #[schemars(with = "Option<Name>")]
    full_name: Edit<Name>,
    #[schemars(with = "Option<NaiveDate>")]
    birthdate: Edit<NaiveDate>,
    #[schemars(with = "Option<GovId>")]
    gov_id: Edit<GovId>,
    #[schemars(with = "Option<Vec<Name>>")]
    emails: Edit<Vec<Name>>,
    #[schemars(with = "Option<Code>")]
    language: Edit<Code>,
    #[schemars(with = "Option<BTreeMap<Name, Option<bool>>>")]
    consents: Edit<BTreeMap<Name, Option<bool>>>,
    #[schemars(with = "Option<BTreeMap<Name, Option<Attribute>>>")]
    attributes: Edit<BTreeMap<Name, Option<Attribute>>>,
}

impl ProfileChange {
    /// Reads the `data` of an event.
    ///
    /// # Errors
    /// It is no change of a profile.
    pub fn parse(raw: &str) -> Result<Self, BadEvent> {
        let mut change: Self = json::object(raw, "data")?;
        if let Edit::Set(day) = change.birthdate
            && day.year() < FIRST_YEAR
        {
            return Err(BadEvent::field("data.birthdate", format!("lies before {FIRST_YEAR}")));
        }
        if let Edit::Set(emails) = &mut change.emails {
            *emails = normalised(emails)?;
        }
        change.identities = change.identities()?;
        Ok(change)
    }

    fn identities(&mut self) -> Result<Vec<Identity>, BadEvent> {
        let given = [
            (IdentityKind::Id, self.id.take()),
            (IdentityKind::Card, self.card.take()),
            (IdentityKind::Phone, self.phone.take()),
            (IdentityKind::Email, self.email.take()),
            (IdentityKind::External, self.external_id.take()),
        ];
        let read = |(kind, value): (IdentityKind, Option<Box<str>>)| {
            let bad = |why| BadEvent::field(format!("data.{}", kind.as_str()), why);
            value.map(|value| Identity::parse(kind, &value).map_err(bad))
        };
        given.into_iter().filter_map(read).collect()
    }

    /// By what else the member is known from now on.
    pub fn new_identities(&self) -> &[Identity] {
        &self.identities
    }
}

/// Nobody stops being known by an identity because of a `null`.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<str>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

fn normalised(emails: &[Name]) -> Result<Vec<Name>, BadEvent> {
    if emails.len() > MAX_ENTRIES {
        return Err(BadEvent::field("data.emails", format!("has more than {MAX_ENTRIES} addresses")));
    }
    let one = |(at, email): (usize, &Name)| {
        let bad = |why: BadIdentity| BadEvent::field(format!("data.emails[{at}]"), why);
        let email = Identity::parse(IdentityKind::Email, email).map_err(bad)?;
        Name::parse(&email.value).map_err(|why| bad(why.into()))
    };
    emails.iter().enumerate().map(one).collect()
}

impl Profile {
    /// The profile after a change that is made on `today`, and what of it is another one now.
    ///
    /// # Errors
    /// It would be too large, or of somebody not born yet.
    pub fn after(
        &self,
        change: ProfileChange,
        today: NaiveDate,
    ) -> Result<(Self, Vec<ProfileField>), Refused> {
        let mut profile = self.clone();
        let mut emails = Some(std::mem::take(&mut profile.emails));
        let changed = [
            (ProfileField::FirstName, change.first_name.apply(&mut profile.first_name)),
            (ProfileField::LastName, change.last_name.apply(&mut profile.last_name)),
            (ProfileField::FullName, change.full_name.apply(&mut profile.full_name)),
            (ProfileField::Birthdate, change.birthdate.apply(&mut profile.birthdate)),
            (ProfileField::GovId, change.gov_id.apply(&mut profile.gov_id)),
            (ProfileField::Emails, change.emails.or_none_left().apply(&mut emails)),
            (ProfileField::Language, change.language.apply(&mut profile.language)),
            (ProfileField::Consents, change.consents.apply_each(&mut profile.consents)),
            (ProfileField::Attributes, change.attributes.apply_each(&mut profile.attributes)),
        ];
        profile.emails = emails.unwrap_or_default();
        profile.check(today)?;
        Ok((profile, changed.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field).collect()))
    }

    /// The profile of two who are one person: this one's word where there is one, else the other's. An agreement that
    /// either of them refused is refused.
    ///
    /// # Errors
    /// It would be too large.
    pub fn filled_up(&self, other: &Self) -> Result<Self, Refused> {
        let mut profile = self.clone();
        let mut other = other.clone();
        macro_rules! fill {
            ($($field:ident),*) => { $(profile.$field = profile.$field.take().or(other.$field.take());)* };
        }
        fill!(first_name, last_name, full_name, birthdate, gov_id, language);
        let more: Vec<_> = other.emails.into_iter().filter(|email| !profile.emails.contains(email)).collect();
        profile.emails.extend(more);
        for (name, agreed) in other.consents {
            profile.consents.entry(name).and_modify(|both| *both &= agreed).or_insert(agreed);
        }
        for (name, value) in other.attributes {
            profile.attributes.entry(name).or_insert(value);
        }
        profile.check_size()?;
        Ok(profile)
    }

    /// The profile without what it has from the other alone: what it did not have `before`, and what is still as the
    /// other had it.
    pub fn without(&self, other: &Self, before: &Self) -> Self {
        let mut profile = self.clone();
        macro_rules! take {
            ($($field:ident),*) => { $(if profile.$field == other.$field {
                profile.$field = before.$field.clone();
            })* };
        }
        take!(first_name, last_name, full_name, birthdate, gov_id, language);
        profile.emails.retain(|email| before.emails.contains(email) || !other.emails.contains(email));
        take_entries(&mut profile.consents, &other.consents, &before.consents);
        take_entries(&mut profile.attributes, &other.attributes, &before.attributes);
        profile
    }

    fn check(&self, today: NaiveDate) -> Result<(), Refused> {
        if let Some(day) = self.birthdate.filter(|day| *day > today) {
            return Err(Refused::new("not_born_yet", format!("the birthdate {day} lies in the future")));
        }
        self.check_size()
    }

    fn check_size(&self) -> Result<(), Refused> {
        if self.consents.len().max(self.attributes.len()).max(self.emails.len()) > MAX_ENTRIES {
            let problem =
                format!("a member may have {MAX_ENTRIES} consents, attributes and e-mail addresses each");
            return Err(Refused::new("profile_too_large", problem));
        }
        let bytes = serde_json::to_string(self).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_BYTES {
            let problem = format!("the profile would have {bytes} bytes; at most {MAX_BYTES} are kept");
            return Err(Refused::new("profile_too_large", problem));
        }
        Ok(())
    }
}

/// Entries that are as the other had them become what they were before.
fn take_entries<V: Clone + PartialEq>(
    now: &mut BTreeMap<Name, V>,
    other: &BTreeMap<Name, V>,
    before: &BTreeMap<Name, V>,
) {
    for (name, value) in other {
        if now.get(name) == Some(value) {
            match before.get(name) {
                Some(value) => drop(now.insert(name.clone(), value.clone())),
                None => drop(now.remove(name)),
            }
        }
    }
}

impl<T> Edit<Vec<T>> {
    /// No list is an empty one.
    fn or_none_left(self) -> Self {
        match self {
            Self::Clear => Self::Set(Vec::new()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn change(json: &str) -> ProfileChange {
        ProfileChange::parse(json).unwrap_or_else(|bad| panic!("{json}: {bad}"))
    }

    fn after(profile: &Profile, json: &str) -> (Profile, Vec<ProfileField>) {
        profile.after(change(json), day("2026-03-03")).unwrap()
    }

    const ANA: &str = r#"{ "first_name": "Ana", "birthdate": "1990-02-28", "emails": ["Ana@Example.com"],
        "gov_id": { "id": "12345678", "type": "DNI", "issuing_country": "AR" },
        "consents": { "sms": true, "email": false }, "attributes": { "vip": true, "shoe": 38.5, "table": "7" } }"#;

    #[test]
    fn what_is_not_mentioned_stays_and_null_clears() {
        use ProfileField::*;
        let (ana, changed) = after(&Profile::default(), ANA);
        assert_eq!(changed, [FirstName, Birthdate, GovId, Emails, Consents, Attributes]);
        assert_eq!(ana.emails[0].as_str(), "ana@example.com");
        assert_eq!(after(&ana, ANA), (ana.clone(), vec![]), "the same again changes nothing");
        for (json, wanted) in [
            (r#"{}"#, vec![]),
            (r#"{ "last_name": null, "consents": { "post": null } }"#, vec![]),
            (r#"{ "first_name": "Anna" }"#, vec![FirstName]),
            (r#"{ "first_name": null, "gov_id": null, "emails": null }"#, vec![FirstName, GovId, Emails]),
            (r#"{ "consents": { "sms": null }, "attributes": null }"#, vec![Consents, Attributes]),
        ] {
            assert_eq!(after(&ana, json).1, wanted, "{json}");
        }
        let (left, _) = after(&ana, r#"{ "consents": { "sms": null }, "attributes": null, "emails": null }"#);
        assert_eq!(left.consents, BTreeMap::from([(Name::parse("email").unwrap(), false)]));
        assert!(left.attributes.is_empty() && left.emails.is_empty() && left.first_name == ana.first_name);
    }

    #[test]
    fn a_profile_survives_the_store_to_the_digit() {
        let (ana, _) = after(&Profile::default(), ANA);
        let json = serde_json::to_string(&ana).unwrap();
        assert!(json.contains(r#""shoe":38.5"#), "{json}");
        assert_eq!(serde_json::from_str::<Profile>(&json).unwrap(), ana);
        assert_eq!(serde_json::to_string(&Profile::default()).unwrap(), "{}");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (json, field) in [
            (r#"{ "name": "Ana" }"#, "data.name"),
            (r#"{ "birthdate": "28.02.1990" }"#, "data.birthdate"),
            (r#"{ "birthdate": "1879-03-14" }"#, "data.birthdate"),
            (r#"{ "emails": ["a@b.c", "ana"] }"#, "data.emails[1]"),
            (r#"{ "gov_id": { "id": "1" } }"#, "data.gov_id.type"),
            (r#"{ "attributes": { "a": [1] } }"#, "data.attributes.a"),
            (r#"{ "first_name": "" }"#, "data.first_name"),
            (r#"{ "email": "ana" }"#, "data.email"),
            (r#"{ "email": null }"#, "data.email"),
        ] {
            assert_eq!(ProfileChange::parse(json).unwrap_err().field, field, "{json}");
        }
        let refused =
            |json: &str| Profile::default().after(change(json), day("2026-03-03")).unwrap_err().code;
        assert_eq!(refused(r#"{ "birthdate": "2026-03-04" }"#), "not_born_yet");
        let many: Vec<_> = (0..33).map(|n| format!(r#""a{n}": {n}"#)).collect();
        assert_eq!(refused(&format!(r#"{{ "attributes": {{ {} }} }}"#, many.join(","))), "profile_too_large");
        let long: Vec<_> = (0..25).map(|n| format!(r#""a{n}": "{}""#, "x".repeat(180))).collect();
        assert_eq!(refused(&format!(r#"{{ "attributes": {{ {} }} }}"#, long.join(","))), "profile_too_large");
    }

    #[test]
    fn the_profile_of_two_is_filled_up_and_comes_apart_again() {
        let (ana, _) = after(&Profile::default(), ANA);
        let theirs = r#"{ "first_name": "Anna", "last_name": "Lopez", "language": "es",
            "emails": ["ana@example.com", "lopez@example.com"],
            "consents": { "sms": false, "email": true, "post": true }, "attributes": { "vip": false, "pet": "dog" } }"#;
        let (lopez, _) = after(&Profile::default(), theirs);
        let both = ana.filled_up(&lopez).unwrap();
        let all = ANA.replace(r#""birthdate""#, r#""last_name": "Lopez", "language": "es", "birthdate""#);
        let all = all.replace(r#"["Ana@Example.com"]"#, r#"["ana@example.com", "lopez@example.com"]"#);
        let all = all.replace(r#""sms": true, "#, r#""sms": false, "post": true, "#); // either refused is refused
        let all = all.replace(r#""table": "7""#, r#""table": "7", "pet": "dog""#);
        assert_eq!(both, after(&Profile::default(), &all).0);
        let apart = both.without(&lopez, &ana);
        assert_eq!(apart, ana);
        let (moved, _) = after(&both, r#"{ "language": "en", "attributes": { "pet": "cat" } }"#);
        let kept = moved.without(&lopez, &ana);
        let expected = after(&ana, r#"{ "language": "en", "attributes": { "pet": "cat" } }"#).0;
        assert_eq!(kept, expected, "what was changed since stays");
    }

    #[test]
    fn a_profile_holds_32_of_each_and_no_more() {
        let list = |n: usize| -> String {
            let all: Vec<_> = (0..n).map(|n| format!(r#""a{n}@example.com""#)).collect();
            format!(r#"{{ "emails": [{}] }}"#, all.join(","))
        };
        let code = |json: &str| {
            let parsed = ProfileChange::parse(json).ok()?;
            Profile::default().after(parsed, day("2026-03-03")).err().map(|refused| refused.code)
        };
        let entries = |field: &str, n: usize| -> String {
            let all: Vec<_> = (0..n).map(|n| format!(r#""a{n}": true"#)).collect();
            format!(r#"{{ "{field}": {{ {} }} }}"#, all.join(","))
        };
        for field in ["consents", "attributes"] {
            assert_eq!(code(&entries(field, MAX_ENTRIES)), None, "{field}");
            assert_eq!(code(&entries(field, MAX_ENTRIES + 1)), Some("profile_too_large"), "{field}");
        }
        assert_eq!(code(&list(MAX_ENTRIES)), None);
        assert_eq!(code(r#"{ "birthdate": "2026-03-03" }"#), None, "born today");
    }
}
