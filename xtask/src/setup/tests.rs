use super::packages::{parse_dpkg, wanted};
use super::{Purpose, os_release_is_debian_12};

#[test]
fn debian_12_is_told_from_its_derivatives_and_other_releases() {
    assert!(os_release_is_debian_12(
        "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n"
    ));
    assert!(!os_release_is_debian_12("VERSION_ID=\"13\"\nID=debian\n"));
    assert!(!os_release_is_debian_12(
        "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"12\"\n"
    ));
    assert!(!os_release_is_debian_12(""));
}

#[test]
fn only_fully_installed_packages_count() {
    let installed = parse_dpkg("gcc installed\nfrr config-files\nbird2 half-installed\n");
    assert!(installed.contains("gcc"));
    assert_eq!(installed.len(), 1);
}

#[test]
fn a_build_does_not_ask_for_routing_daemons() {
    let names: Vec<_> = wanted(Purpose::Build, true)
        .iter()
        .map(|p| p.name)
        .collect();
    assert!(
        names.contains(&"rust-web-src") && !names.contains(&"frr"),
        "{names:?}"
    );
    let names: Vec<_> = wanted(Purpose::Test, true).iter().map(|p| p.name).collect();
    assert!(
        names.contains(&"rust-web-src") && names.contains(&"frr"),
        "{names:?}"
    );
}

#[test]
fn a_nightly_with_source_spares_the_distribution_compiler() {
    assert!(
        wanted(Purpose::Test, false)
            .iter()
            .all(|p| !p.name.starts_with("rust"))
    );
}
