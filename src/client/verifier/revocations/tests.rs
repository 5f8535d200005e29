use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000;
const RETENTION: Duration = Duration::from_secs(600);
/// A time of the database, somewhere inside of a second.
const NOW: i64 = 1_800_000_000 * SECOND + 250_000;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn claims(sid: Uuid, generation: u32) -> Claims {
    Claims {
        sub: id(7),
        sid,
        generation,
        iat: NOW / SECOND,
        ..crate::client::verifier::tests::claims()
    }
}

fn at(micros: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: micros.div_euclid(SECOND),
        nanos: i32::try_from(micros.rem_euclid(SECOND) * 1_000).unwrap(),
    })
}

fn ended(sid: Uuid, time: i64) -> v1::Revocation {
    let session_id = sid.to_string();
    let ended = v1::SessionEnded {
        session_id,
        user_id: id(7).to_string(),
    };
    revocation(Kind::SessionEnded(ended), time)
}

fn superseded(sid: Uuid, generation: u32, time: i64, effective: i64) -> v1::Revocation {
    let superseded = v1::TokensSuperseded {
        session_id: sid.to_string(),
        generation,
        effective_time: at(effective),
    };
    revocation(Kind::TokensSuperseded(superseded), time)
}

fn roles(names: &[&str], time: i64) -> v1::Revocation {
    let changed = v1::RolesChanged {
        user_id: id(7).to_string(),
        roles: names.iter().map(ToString::to_string).collect(),
    };
    revocation(Kind::RolesChanged(changed), time)
}

fn revocation(kind: Kind, time: i64) -> v1::Revocation {
    v1::Revocation {
        kind: Some(kind),
        time: at(time),
    }
}

fn recorder(batch: &[v1::Revocation]) -> Recorder {
    let mut recorder = Recorder::default();
    recorder.add(batch, NOW);
    recorder
}

fn verdict(recorder: &Recorder, sid: Uuid, generation: u32, now: i64) -> Result<(), Void> {
    recorder.set().judge(&mut claims(sid, generation), now)
}

fn seen_roles(recorder: &Recorder, iat: i64) -> Vec<String> {
    let mut claims = claims(id(1), 0);
    claims.iat = iat;
    claims.roles = vec!["admin".to_owned()];
    recorder.set().judge(&mut claims, NOW).unwrap();
    claims.roles
}

#[test]
fn ended_session_is_void_in_every_generation_and_another_is_not() {
    let recorder = recorder(&[ended(id(1), NOW)]);
    assert_eq!(verdict(&recorder, id(1), 99, NOW), Err(Void::SessionEnded));
    assert_eq!(verdict(&recorder, id(2), 0, NOW), Ok(()));
}

#[test]
fn superseded_token_is_void_from_its_time_on_and_its_successor_never() {
    let effective = NOW + 10 * SECOND;
    let recorder = recorder(&[superseded(id(1), 3, NOW, effective)]);
    assert_eq!(verdict(&recorder, id(1), 2, effective - 1), Ok(()));
    assert_eq!(
        verdict(&recorder, id(1), 2, effective),
        Err(Void::Superseded)
    );
    assert_eq!(verdict(&recorder, id(1), 3, effective), Ok(()));
}

#[test]
fn session_that_is_refreshed_often_does_not_keep_its_oldest_token() {
    let mut recorder = Recorder::default();
    for generation in 1..=20_u32 {
        let time = NOW + i64::from(generation) * 5 * SECOND;
        let effective = time + 10 * SECOND;
        recorder.add(&[superseded(id(1), generation, time, effective)], time);
    }
    let now = NOW + 100 * SECOND;
    assert_eq!(verdict(&recorder, id(1), 0, now), Err(Void::Superseded));
    assert_eq!(verdict(&recorder, id(1), 17, now), Err(Void::Superseded));
    assert_eq!(verdict(&recorder, id(1), 18, now), Ok(()));
    let pending = recorder.set.recent.sessions[&id(1)].pending.len();
    assert!(pending <= 3, "{pending}");
}

#[test]
fn changed_roles_replace_those_of_tokens_up_to_a_minute_after_the_change() {
    let recorder = recorder(&[roles(&["reader"], NOW)]);
    let second = NOW / SECOND;
    assert_eq!(seen_roles(&recorder, second - 1), ["reader"]);
    assert_eq!(seen_roles(&recorder, second + 60), ["reader"]);
    assert_eq!(seen_roles(&recorder, second + 61), ["admin"]);
}

#[test]
fn later_change_of_roles_counts_in_whichever_order_they_come() {
    let (first, second) = (roles(&["a"], NOW), roles(&["b"], NOW + 1));
    let forwards = recorder(&[first.clone(), second.clone()]);
    let backwards = recorder(&[second, first]);
    assert_eq!(seen_roles(&forwards, NOW / SECOND), ["b"]);
    assert_eq!(seen_roles(&backwards, NOW / SECOND), ["b"]);
}

#[test]
fn dropped_key_is_known_by_its_kid() {
    let dropped = v1::KeyDropped {
        kid: "one".to_owned(),
    };
    let set = recorder(&[revocation(Kind::KeyDropped(dropped), NOW)]).set();
    assert!(set.key_is_dropped("one"));
    assert!(!set.key_is_dropped("two"));
}

#[test]
fn dropped_key_is_never_forgotten() {
    let dropped = v1::KeyDropped {
        kid: "one".to_owned(),
    };
    let mut recorder = recorder(&[revocation(Kind::KeyDropped(dropped), NOW)]);
    let minute = Duration::from_secs(60);
    recorder.tidy(NOW + 1_000 * SECOND, minute);
    assert!(recorder.set().key_is_dropped("one"));
    assert!(recorder.anew().set().key_is_dropped("one"));
}

#[test]
fn what_cannot_be_understood_is_passed_over() {
    let malformed = v1::SessionEnded {
        session_id: "not an id".to_owned(),
        ..v1::SessionEnded::default()
    };
    let batch = [
        v1::Revocation::default(),
        revocation(Kind::SessionEnded(malformed), NOW),
        ended(id(1), NOW),
    ];
    let recorder = recorder(&batch);
    assert_eq!(recorder.len(), 1);
    assert_eq!(verdict(&recorder, id(1), 0, NOW), Err(Void::SessionEnded));
}

#[test]
fn entry_is_forgotten_after_the_retention_and_not_before() {
    let mut recorder = recorder(&[ended(id(1), NOW)]);
    recorder.tidy(NOW + micros(RETENTION), RETENTION);
    assert_eq!(recorder.len(), 1);
    recorder.tidy(NOW + 2 * micros(RETENTION), RETENTION);
    assert_eq!(recorder.len(), 0);
}

#[test]
fn full_recent_table_is_poured_into_the_base_and_nothing_is_lost() {
    let mut recorder = Recorder::default();
    let batch: Vec<_> = (0..5_000).map(|n| ended(id(n), NOW)).collect();
    for part in batch.chunks(1_000) {
        recorder.add(part, NOW);
        recorder.tidy(NOW, RETENTION);
        assert!(recorder.set.recent.len() <= RECENT);
    }
    for n in 0..5_000 {
        assert_eq!(verdict(&recorder, id(n), 0, NOW), Err(Void::SessionEnded));
    }
}

#[test]
fn session_in_the_base_keeps_what_was_known_when_more_comes() {
    let mut recorder = recorder(&[superseded(id(1), 5, NOW, NOW)]);
    recorder.tidy(NOW, RETENTION);
    assert_eq!(recorder.set.recent.len(), 0);
    recorder.add(&[superseded(id(1), 6, NOW, NOW + 10 * SECOND)], NOW);
    assert_eq!(verdict(&recorder, id(1), 4, NOW), Err(Void::Superseded));
    assert_eq!(verdict(&recorder, id(1), 5, NOW), Ok(()));
}

#[test]
fn reader_keeps_the_set_that_it_has() {
    let mut recorder = Recorder::default();
    let before = recorder.set();
    recorder.add(&[ended(id(1), NOW)], NOW);
    assert_eq!(before.judge(&mut claims(id(1), 0), NOW), Ok(()));
}

proptest! {
    /// However the revocations are cut into batches, repeated and tidied, the verdict is
    /// that of a table that has simply all of them.
    #[test]
    fn batches_repetitions_and_tidying_change_no_verdict(
        events in prop::collection::vec((0..4_u128, 0..6_u32, 0..30_i64, any::<bool>()), 0..60),
        now in 0..60_i64,
        generation in 0..6_u32,
    ) {
        let mut recorder = Recorder::default();
        for &(session, first, second, end) in &events {
            let time = NOW + second * SECOND;
            let event = if end && first == 5 {
                ended(id(session), time)
            } else {
                superseded(id(session), first, time, time + 10 * SECOND)
            };
            // Told no later than it happens, so that nothing settles early.
            recorder.add(&[event.clone(), event], NOW);
            recorder.tidy(NOW, RETENTION);
        }
        for session in 0..4_u128 {
            let mine = || events.iter().filter(move |event| event.0 == session);
            let expected = if mine().any(|event| event.3 && event.1 == 5) {
                Err(Void::SessionEnded)
            } else if mine().any(|event| event.2 + 10 <= now && generation < event.1) {
                Err(Void::Superseded)
            } else {
                Ok(())
            };
            let verdict = verdict(&recorder, id(session), generation, NOW + now * SECOND);
            prop_assert_eq!(verdict, expected);
        }
    }
}
