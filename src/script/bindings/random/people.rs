//! People, words and places that do not exist, drawn from a user's generator.
//!
//! Addresses of mail and numbers of phones are those that the standards keep for examples (RFC 2606; 555-0100 to 555-0199), so that no
//! load test writes to anybody. The lists are part of what a seed means: append to none of them.

use crate::script::chance::Generator;

/// What is asked for by its name in `random.lua`; `None` for a name that there is not.
pub(super) fn made_up(random: &mut Generator, what: &str) -> Option<String> {
    Some(match what {
        "first_name" => one(random, FIRST_NAMES).to_owned(),
        "last_name" => one(random, LAST_NAMES).to_owned(),
        "name" => format!("{} {}", one(random, FIRST_NAMES), one(random, LAST_NAMES)),
        "word" => one(random, WORDS).to_owned(),
        "email" => email(random),
        "phone" => format!("+1-{}-555-01{:02}", one(random, AREA_CODES), random.int(0, 99)),
        "street" => format!("{} {} {}", random.int(1, 999), one(random, LAST_NAMES), one(random, STREETS)),
        "city" => one(random, CITIES).to_owned(),
        "postcode" => format!("{:05}", random.int(501, 99_950)),
        "country" => one(random, COUNTRIES).to_owned(),
        _ => return None,
    })
}

/// `ada.lovelace4711x9@example.com`: a name that people recognise, and 32 bits so that hardly two of a run are alike.
fn email(random: &mut Generator) -> String {
    let (first, last) = (one(random, FIRST_NAMES), one(random, LAST_NAMES));
    let number = random.int(0, i64::from(u32::MAX));
    let host = one(random, &["example.com", "example.net", "example.org"]);
    format!("{}.{}.{number:08x}@{host}", first.to_lowercase(), last.to_lowercase())
}

fn one<'a>(random: &mut Generator, list: &[&'a str]) -> &'a str {
    list[random.index_below(list.len())]
}

const FIRST_NAMES: &[&str] = &[
    "Ada", "Adam", "Aisha", "Alan", "Alice", "Amir", "Ana", "Anders", "Anton", "Astrid", "Ben", "Bianca", "Boris", "Carla", "Carlos",
    "Chen", "Clara", "Daniel", "David", "Diana", "Edsger", "Elena", "Emil", "Emma", "Erik", "Eva", "Fatima", "Felix", "Finn", "Frida",
    "Grace", "Greta", "Hanna", "Hans", "Helen", "Hugo", "Ida", "Ines", "Ivan", "Jack", "Jan", "Jana", "Jonas", "Julia", "Karim", "Karl",
    "Kofi", "Lara", "Lena", "Leo", "Lina", "Linus", "Luca", "Lucia", "Magda", "Marco", "Maria", "Mark", "Mateo", "Maya", "Mei", "Mia",
    "Milan", "Mira", "Nadia", "Nico", "Nina", "Noah", "Nora", "Olga", "Omar", "Oscar", "Otto", "Pablo", "Paula", "Pedro", "Petra", "Priya",
    "Rahul", "Rita", "Rosa", "Ruth", "Samir", "Sara", "Selma", "Sofia", "Sven", "Tara", "Theo", "Tim", "Tom", "Uma", "Vera", "Victor",
    "Wei", "Yara", "Yuki", "Yusuf", "Zoe", "Zora",
];

const LAST_NAMES: &[&str] = &[
    "Adler", "Allen", "Alvarez", "Andersen", "Bauer", "Becker", "Bell", "Berg", "Bianchi", "Blake", "Brown", "Carter", "Chen", "Clark",
    "Costa", "Cruz", "Dahl", "Diaz", "Dijkstra", "Dubois", "Eriksen", "Evans", "Fischer", "Fontana", "Foster", "Garcia", "Gomez", "Gray",
    "Green", "Gupta", "Haas", "Hall", "Hansen", "Harris", "Hill", "Hopper", "Horvat", "Ito", "Ivanov", "Jansen", "Johnson", "Jones", "Kaya",
    "Keller", "Khan", "Kim", "King", "Klein", "Kowalski", "Kumar", "Lang", "Larsen", "Lee", "Lehmann", "Lewis", "Li", "Lindgren", "Lopez",
    "Lovelace", "Martin", "Meyer", "Miller", "Moreau", "Mori", "Murphy", "Nielsen", "Novak", "Okafor", "Olsen", "Park", "Patel", "Perez",
    "Peters", "Popov", "Price", "Reed", "Ricci", "Rivera", "Roberts", "Rossi", "Roy", "Sato", "Schmidt", "Silva", "Singh", "Smith", "Stein",
    "Suzuki", "Tanaka", "Taylor", "Turing", "Turner", "Vogel", "Walker", "Wang", "Weber", "White", "Wilson", "Wood", "Young",
];

const WORDS: &[&str] = &[
    "amber", "apple", "arrow", "autumn", "basil", "beacon", "bell", "berry", "birch", "bread", "breeze", "bridge", "bright", "brook", "butter",
    "candle", "canyon", "castle", "cedar", "cherry", "circle", "clay", "cliff", "cloud", "clover", "coast", "copper", "coral", "cotton",
    "crystal", "dawn", "desert", "dew", "dream", "dune", "dusk", "eagle", "early", "earth", "echo", "ember", "fable", "falcon", "feather",
    "fern", "field", "flame", "flint", "flower", "forest", "fox", "frost", "garden", "gentle", "glass", "golden", "grain", "granite", "grape",
    "grass", "harbor", "harvest", "hazel", "heron", "hill", "honey", "horizon", "iron", "island", "ivory", "ivy", "jade", "jasmine", "juniper",
    "lagoon", "lamp", "lantern", "lavender", "leaf", "lemon", "light", "lilac", "linen", "lunar", "maple", "marble", "meadow", "melody",
    "mint", "mist", "moon", "morning", "moss", "moth", "mountain", "night", "oak", "ocean", "olive", "orange", "orchard", "paper", "pearl",
    "pebble", "pepper", "pine", "plain", "plum", "pond", "quartz", "quiet", "rain", "raven", "reed", "ribbon", "ridge", "river", "robin",
    "rose", "saffron", "sage", "salt", "sand", "shadow", "shell", "shore", "silk", "silver", "sky", "slate", "snow", "song", "spark",
    "spring", "spruce", "star", "stone", "storm", "stream", "summer", "sun", "swan", "swift", "thistle", "thunder", "tide", "timber", "tulip",
    "valley", "velvet", "violet", "walnut", "water", "wave", "wheat", "willow", "wind", "window", "winter", "wolf", "wood", "yellow",
];

const AREA_CODES: &[&str] = &["202", "206", "212", "213", "303", "305", "312", "404", "415", "503", "512", "617", "702", "713", "808"];

const STREETS: &[&str] = &["Street", "Avenue", "Road", "Lane", "Drive", "Way", "Place", "Square", "Court", "Hill"];

const CITIES: &[&str] = &[
    "Ashford", "Bayview", "Brookfield", "Cedarville", "Clearwater", "Eastport", "Elmwood", "Fairhaven", "Glenbrook", "Greenfield", "Harborview",
    "Highland", "Kingston", "Lakeside", "Maplewood", "Milford", "Newport", "Northfield", "Oakdale", "Pinecrest", "Ridgefield", "Riverside",
    "Rockport", "Salem", "Southgate", "Springfield", "Stonebridge", "Summerton", "Westbrook", "Woodstock",
];

const COUNTRIES: &[&str] = &[
    "Argentina", "Australia", "Austria", "Belgium", "Brazil", "Canada", "Chile", "Colombia", "Denmark", "Egypt", "Finland", "France", "Germany",
    "Ghana", "Greece", "India", "Indonesia", "Ireland", "Italy", "Japan", "Kenya", "Mexico", "Morocco", "Netherlands", "New Zealand", "Nigeria",
    "Norway", "Peru", "Poland", "Portugal", "Singapore", "South Africa", "South Korea", "Spain", "Sweden", "Switzerland", "Turkey",
    "United Kingdom", "United States", "Vietnam",
];

#[cfg(test)]
mod tests {
    use super::super::super::testing::{judges, raised};
    use super::*;

    #[test]
    fn a_seed_draws_the_same_people_for_ever() {
        let mut random = Generator::new(42, 7, 1);
        let drawn: Vec<_> = ["name", "email", "phone", "street", "city", "postcode", "country", "word", "first_name", "last_name"]
            .iter()
            .map(|what| made_up(&mut random, what).unwrap())
            .collect();
        insta::assert_snapshot!(drawn.join("; "), @"Rahul Taylor; ana.murphy.f030c14a@example.com; +1-713-555-0137; 832 Lee Court; Kingston; 98691; Denmark; plain; Mateo; Smith");
        assert_eq!(made_up(&mut random, "planet"), None);
    }

    #[test]
    fn what_is_made_up_looks_like_what_it_is_and_reaches_nobody() {
        let said = raised(
            "local emails = {}
             for _ = 1, 1000 do
               local email = random.email()
               assert(email:match('^%l+%.%l+%.%x%x%x%x%x%x%x%x@example%.%l+$') and not emails[email], email) emails[email] = true
               assert(random.phone():match('^%+1%-%d%d%d%-555%-01%d%d$') and random.name():match('^%u%l+ %u%l+$') and random.word():match('^%l+$'))
             end
             local address = random.address()
             assert(address.street:match('^%d+ %u%l+ %u%l+$') and address.city ~= '' and address.postcode:match('^%d%d%d%d%d$') and address.country ~= '')
             assert(random.first_name():match('^%u%l+$') and random.last_name():match('^%u%l+$'))
             local words = random.words(5) assert(select(2, words:gsub(' ', '')) == 4 and random.words(0) == '' and random.words(1):match('^%l+$'))
             local sentence = random.sentence() assert(sentence:match('^%u%l+ .*%l%.$'), sentence)
             assert(select(2, random.sentence(3):gsub(' ', '')) == 2)",
        );
        assert_eq!(said, None);
    }

    #[test]
    fn values_are_taken_or_refused() {
        judges("random.words(%)", &["whole"]);
        judges("random.sentence(%)", &["whole", "nil"]);
        for (code, why) in [("random.words(-1)", "from 0 to 10000"), ("random.words(1e9)", "from 0 to 10000"), ("random.sentence(0)", "from 1 to 10000")] {
            let said = raised(code).unwrap();
            assert!(said.starts_with("test.lua:3: random.") && said.contains(why), "{said}");
        }
        let refused = crate::script::testing::Script::new("local n = require('random').name() return function() end").refused();
        assert!(refused.contains("test.lua:1: random numbers are not available while the script is loaded"), "{refused}");
    }
}
