use std::path::Path;

use proptest::prelude::*;

use super::*;

/// The seeds of a target, and with them whatever it once found.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = std::fs::read_dir(folder).unwrap();
    let seeds: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!seeds.is_empty());
    seeds
}

fn texts(target: &str) -> Vec<String> {
    seeds(target).into_iter().map(|seed| String::from_utf8(seed).unwrap()).collect()
}

#[test]
fn every_seed_passes() {
    seeds("head").iter().for_each(|seed| head(seed));
    seeds("publish").iter().for_each(|seed| publish_body(seed));
    seeds("block").iter().for_each(|seed| block(seed));
    seeds("relay").iter().for_each(|seed| frame(seed));
    seeds("adapter").iter().for_each(|seed| from_node(seed));
    texts("offset").iter().for_each(|seed| offset(seed));
    texts("pid").iter().for_each(|seed| pid(seed));
    texts("token").iter().for_each(|seed| token(seed));
    texts("biscuit").iter().for_each(|seed| biscuit(seed));
    for packet in texts("packet") {
        let arguments = packet.find('[').map_or_else(String::new, |start| packet[start..].to_owned());
        event(&Value::Str(arguments.into(), None));
    }
}

/// A seed with some of its bytes replaced.
fn near(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6);
    (proptest::sample::select(seeds(target)), changes).prop_map(|(mut seed, changes)| {
        for (place, byte) in changes {
            let place = place.index(seed.len());
            seed[place] = byte;
        }
        seed
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_head_near_a_valid_one_breaks_it(bytes in near("head")) {
        head(&bytes);
    }

    #[test]
    fn no_body_near_a_valid_one_breaks_it(bytes in near("publish")) {
        publish_body(&bytes);
    }

    #[test]
    fn no_frame_near_a_valid_one_breaks_it(ours in near("relay"), of_node in near("adapter")) {
        frame(&ours);
        from_node(&of_node);
    }

    #[test]
    fn no_text_near_a_valid_one_breaks_it(
        packet in near("packet"), shown in near("offset"), key in near("pid"), bearer in near("token"),
    ) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        offset(&text(&shown));
        pid(&text(&key));
        token(&text(&bearer));
        let packet = text(&packet);
        let arguments = packet.find('[').map_or_else(String::new, |start| packet[start..].to_owned());
        event(&Value::Str(arguments.into(), None));
    }
}

proptest! {
    // Each costs signatures and decisions.
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn no_block_near_a_valid_one_breaks_it(bytes in near("block")) {
        block(&bytes);
    }
}
