//! How far a backup has been proven.

use super::words::words;

words! {
    /// The strongest proof a backup has had. Later levels include the earlier ones.
    pub enum VerifyLevel {
        /// Every frame of the published file was decoded again and equals what the source gave.
        Bytes = "bytes",
        /// Besides, what was read passed the engine's own check.
        Checked = "checked",
        /// Besides, a real restore passed.
        Restored = "restored",
    }
}

words! {
    /// How each new backup is proven (`verify` of an instance).
    #[derive(Default)]
    pub enum Verify {
        /// Its archive is read back and compared.
        #[default]
        Archive = "archive",
        /// Besides, it is restored and used in a drill.
        Restore = "restore",
    }
}

words! {
    /// How thoroughly the engine checks what it reads (`check` of an instance).
    #[derive(Default)]
    pub enum CheckLevel {
        /// Not at all.
        Off = "off",
        /// Structure only (SQLite: `quick_check`).
        #[default]
        Quick = "quick",
        /// Everything, indexes against tables too (SQLite: `integrity_check`).
        Full = "full",
    }
}
