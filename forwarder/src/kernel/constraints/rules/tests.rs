use super::*;

fn defaults() -> Vec<Rule> {
    let rule = |(priority, table, _)| Rule {
        priority,
        table,
        plain: true,
        l3mdev: false,
    };
    DEFAULTS.into_iter().map(rule).collect()
}

#[test]
fn the_three_default_rules_are_nothing() {
    assert!(judge(&defaults()).is_empty());
}

#[test]
fn the_rule_that_vrfs_share_is_nothing() {
    let mut rules = defaults();
    rules.push(Rule {
        priority: 1000,
        table: 0,
        plain: false,
        l3mdev: true,
    });
    assert!(judge(&rules).is_empty());
}

#[test]
fn a_default_rule_with_a_selector_is_another_rule() {
    let mut rules = defaults();
    rules[1].plain = false;
    assert_eq!(
        judge(&rules),
        ["ip rule 32766", "default ip rule 32766 missing"]
    );
}

#[test]
fn without_the_rule_for_table_default_lookups_are_the_same() {
    assert!(judge(&defaults()[..2]).is_empty());
}

#[test]
fn unknown_attributes_make_a_rule_special() {
    let plain = Request::new(0, 0, &[2, 0, 0, 0, 254, 0, 0, TO_TABLE, 0, 0, 0, 0]);
    let plain = plain.u32(FRA_PRIORITY, 32_766).u32(FRA_TABLE, 254);
    let mut rules = Vec::new();
    collect(&mut rules, 0, plain.body()).unwrap();
    collect(&mut rules, 0, plain.u32(200, 1).body()).unwrap();
    assert_eq!(
        rules.iter().map(|rule| rule.plain).collect::<Vec<_>>(),
        [true, false]
    );
}
