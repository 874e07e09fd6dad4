//! An instance's name as the name of a file.

/// The longest part of an instance's name that goes into a file name, in bytes.
const NAME_BYTES: usize = 200;

/// The name with every character that a shell or another system could stumble over as `_`.
pub(super) fn plain_name(instance: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    instance
        .chars()
        .map(|letter| if plain(letter) { letter } else { '_' })
        .take(NAME_BYTES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_letters_is_a_file_name_that_needs_no_quoting() {
        assert_eq!(plain_name("shop-2.x"), "shop-2.x");
        assert_eq!(plain_name("Mein Lädchen/../$(x)"), "Mein_L_dchen_..___x_");
        assert_eq!(plain_name(&"ü".repeat(300)).len(), NAME_BYTES);
    }
}
