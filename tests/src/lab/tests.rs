use std::time::{Duration, Instant};

use anyhow::bail;

use super::traffic::Gaps;
use super::wait_for;

fn at(start: Instant, milliseconds: &[u64]) -> Vec<Instant> {
    milliseconds
        .iter()
        .map(|ms| start + Duration::from_millis(*ms))
        .collect()
}

fn count(sent: &[u64], seen: &[(u64, u64)]) -> Gaps {
    let start = Instant::now();
    let seen: Vec<_> = seen
        .iter()
        .map(|&(number, ms)| (number, start + Duration::from_millis(ms)))
        .collect();
    super::traffic::count(&at(start, sent), &seen)
}

#[test]
fn a_stream_without_loss_has_no_outage() {
    let gaps = count(&[0, 1, 2, 3], &[(0, 1), (1, 2), (2, 30), (3, 31)]);
    assert_eq!((gaps.sent, gaps.received, gaps.lost), (4, 4, 0));
    assert_eq!(gaps.outage, Duration::ZERO);
    assert_eq!(gaps.longest_silence, Duration::from_millis(28));
}

#[test]
fn an_outage_lasts_from_the_first_lost_to_the_next_that_arrives() {
    let gaps = count(&[0, 10, 20, 30, 40], &[(0, 1), (3, 31), (4, 41)]);
    assert_eq!(gaps.lost, 2);
    assert_eq!(gaps.outage, Duration::from_millis(20));
}

#[test]
fn an_outage_at_the_end_counts_up_to_the_last_one_sent() {
    let gaps = count(&[0, 10, 20, 30], &[(0, 1)]);
    assert_eq!(gaps.lost, 3);
    assert_eq!(gaps.outage, Duration::from_millis(20));
}

#[test]
fn doubled_and_reordered_datagrams_are_no_loss() {
    let gaps = count(
        &[0, 1, 2, 3],
        &[(0, 1), (2, 2), (1, 3), (1, 4), (3, 5), (99, 6)],
    );
    assert_eq!((gaps.received, gaps.lost), (4, 0));
    assert_eq!((gaps.duplicated, gaps.reordered), (1, 1));
}

#[test]
fn a_wait_returns_as_soon_as_the_condition_holds() {
    let mut looks = 0;
    let value = wait_for(Duration::from_secs(60), "three looks", || {
        looks += 1;
        anyhow::ensure!(looks == 3, "{looks} looks");
        Ok(looks)
    });
    assert_eq!(value.unwrap(), 3);
}

#[test]
fn a_wait_that_fails_repeats_what_it_saw_last() {
    let failed = wait_for::<()>(Duration::from_millis(1), "rain", || bail!("a blue sky"));
    let message = failed.unwrap_err().to_string();
    assert!(
        message.contains("rain") && message.contains("a blue sky"),
        "{message}"
    );
}

#[test]
fn mac_is_six_bytes_of_hex() {
    assert_eq!(
        super::namespace::parse_mac("02:00:00:00:00:ff"),
        Some([2, 0, 0, 0, 0, 255])
    );
    for wrong in [
        "",
        "02:00:00:00:00",
        "02:00:00:00:00:00:00",
        "02:00:00:00:00:zz",
    ] {
        assert_eq!(super::namespace::parse_mac(wrong), None, "{wrong}");
    }
}
