//! Export schedules and integrations.

use diesel::prelude::*;

use super::on_both;
use super::sample::*;
use crate::domain::endpoint::Credential;
use crate::domain::export_schedule::{
    Destination, ExportDataType, ExportSchedule, ExportSettings, Frequency, ModifiedSince,
};
use crate::domain::ids::{ExportScheduleId, IntegrationId};
use crate::domain::integration::{Credentials, Integration, Platform, Sync};
use crate::store::schema::integrations;
use crate::store::{export_schedule, integration};

fn schedule(n: u64) -> ExportSchedule {
    let destination = Destination::Webhook { url: "https://example.com/in".parse().unwrap() };
    ExportSchedule {
        id: ExportScheduleId::new(ulid(n)),
        chain: harvest(),
        settings: ExportSettings {
            frequency: Frequency::Daily,
            destination,
            data_types: [ExportDataType::Orders, ExportDataType::Segments].into(),
            modified_since: Some(ModifiedSince::LastRun),
        },
        created_at: at(3),
    }
}

on_both! {
    fn so_many_schedules_are_kept_and_no_more(store) {
        for (n, kept) in [(1, true), (2, true), (3, false)] {
            assert_eq!(store.change(|c| export_schedule::insert(c, &schedule(n), 2)), kept, "{n}");
        }
        assert_eq!(store.look(|c| export_schedule::list(c, &harvest())), [schedule(2), schedule(1)]);
        for deleted in [Some(schedule(2)), None] {
            assert_eq!(store.change(|c| export_schedule::delete(c, &harvest(), schedule(2).id)), deleted);
        }
        assert_eq!(store.look(|c| export_schedule::list(c, &harvest())), [schedule(1)]);
    }

    fn an_integration_is_configured_anew_in_its_place_and_sealed(store) {
        let sync = Sync { guests: true, segments: false, signals: false, orders: true, real_time: true };
        let new = |n: u32, platform| Integration {
            id: IntegrationId::new(ulid(n.into())),
            chain: harvest(),
            platform,
            sync,
            created_at: at(n.into()),
            updated_at: at(n.into()),
        };
        let credentials = |secret: &str| Credentials {
            api_key: Credential::parse("pk_1").ok(),
            api_secret: Credential::parse(secret).ok(),
            account_id: None,
            instance_url: None,
        };
        let put = |n, platform, secret: &str| {
            store.change(|c| integration::put(c, store.vault(), new(n, platform), &credentials(secret)))
        };
        let (first, before) = put(1, Platform::Punchh, "hunter2");
        assert_eq!((&first, before), (&new(1, Platform::Punchh), None));
        put(2, Platform::Braze, "hunter3");
        let (again, before) = put(3, Platform::Punchh, "hunter4");
        assert_eq!(before, Some((first.clone(), Some(credentials("hunter2")))));
        assert_eq!(again, Integration { updated_at: at(3), ..first });
        let (_, before) = put(3, Platform::Punchh, "hunter5");
        assert_eq!(before.unwrap().1, Some(credentials("hunter4")));
        let (_, before) = put(3, Platform::Punchh, "hunter4");
        assert_eq!(before.unwrap().1, Some(credentials("hunter5")), "at the same instant, too");
        let same = put(4, Platform::Punchh, "hunter4");
        assert_eq!(same, (again.clone(), Some((again.clone(), Some(credentials("hunter4"))))), "it was so already");
        assert_eq!(store.look(|c| integration::list(c, &harvest())), [new(2, Platform::Braze), again.clone()]);
        let sealed: Vec<u8> = store.look(|c| {
            let row = integrations::table.find(("harvest", "punchh")).select(integrations::credentials);
            Ok(row.get_result(c)?)
        });
        assert!(!sealed.windows(7).any(|part| part == b"hunter4"));
        let aad = format!("integration harvest/{}", again.id);
        let opened: Credentials = serde_json::from_str(&store.vault().open(&aad, &sealed).unwrap()).unwrap();
        assert_eq!(opened, credentials("hunter4"));
        let spoil = || {
            let theirs = integrations::table.find(("harvest", "punchh"));
            store.change(|c| Ok(diesel::update(theirs).set(integrations::credentials.eq(vec![7_u8])).execute(c)?));
        };
        spoil();
        let (_, before) = put(5, Platform::Punchh, "hunter4");
        assert_eq!(before.unwrap().1, None, "what cannot be opened can be replaced");
        spoil();
        let again = Integration { updated_at: at(5), ..again };
        for deleted in [Some((again.clone(), None)), None] {
            let delete = store.change(|c| integration::delete(c, store.vault(), &harvest(), again.id));
            assert_eq!(delete, deleted);
        }
    }
}
