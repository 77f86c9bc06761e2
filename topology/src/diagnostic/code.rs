//! The codes: stable names of everything that can be wrong with a file. A number is never used again for something else.

/// Declares the codes: variant, number, title; and joins each with its page under `docs/codes`.
macro_rules! codes {
    ($($variant:ident $id:literal $title:literal,)*) => {
        /// What is wrong. The numbers are stable; scripts and suppressions rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in the order of its number.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// `T` and three digits.
            pub fn id(self) -> &'static str {
                match self { $(Code::$variant => $id,)* }
            }

            /// What it means, in one line.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// Its page: an example that fails, and the cure. Markdown.
            pub fn page(self) -> &'static str {
                match self { $(Code::$variant => include_str!(concat!("../../docs/codes/", $id, ".md")),)* }
            }
        }
    };
}

codes! {
    // The text.
    NotYaml "T001" "the text is not YAML",
    NotUtf8 "T002" "the file is not UTF-8",
    TooLarge "T003" "a bound on size, depth or aliases is exceeded",
    NotATopology "T004" "the file is not one mapping",
    DuplicateKey "T005" "a key is written twice",
    NotAKey "T006" "a key is not plain text, or `<<` does not name a mapping",
    UnknownTag "T007" "a YAML tag",
    UnsetVariable "T008" "the environment lacks a variable",
    MalformedVariable "T009" "`${` does not begin a variable",
    // Keys and values.
    UnknownKey "T010" "an unknown key",
    MissingKey "T011" "a key is missing",
    WrongType "T012" "a value of the wrong type",
    UnknownWord "T013" "a word that is not one of those allowed",
    NotADuration "T014" "a text that is no duration",
    NotASize "T015" "a text that is no size",
    OutOfRange "T016" "a number outside its range",
    ForeignWord "T017" "a key of another program, or of an older one",
    NotInThisVersion "T018" "something planned that this version does not have",
    NotAName "T019" "a name that is not allowed",
    // Actors and edges.
    UnknownKind "T020" "an unknown kind",
    DanglingEdge "T021" "`from` names no actor",
    CyclicEdge "T022" "actors read from each other in a circle",
    SourceWithInput "T023" "a source with `from`",
    WithoutInput "T024" "an actor without `from`",
    WrongPort "T025" "an edge between kinds that do not fit",
    TwoPaths "T026" "two paths from one source to one sink",
    FedTwice "T027" "one table, key or topic written by two sinks",
    Unread "T028" "rows or messages that nobody reads",
    DifferentRows "T029" "inputs of one sink with different rows",
    SameIdentity "T030" "two actors with one identity",
    PolicyElsewhere "T031" "an option on an actor for which it means nothing",
    NothingRequired "T032" "a source none of whose sinks is required",
    LargeLinks "T033" "links that may hold much memory",
    ReadTwice "T034" "one topic read by two sources",
    // Supervision.
    UnknownChild "T035" "a supervisor's child that does not exist",
    ChildTwice "T036" "a child of two supervisors",
    SupervisorCycle "T037" "supervisors that contain each other",
    OverBudget "T038" "more memory than the node allows",
    OrphanedWork "T039" "a restart that leaves work behind",
    // The row.
    UnknownType "T040" "an unknown type",
    WithoutSource "T041" "a field that is found nowhere",
    TwoSources "T042" "a field with both `path` and `expr`",
    NotAPointer "T043" "a text that is no JSON pointer",
    UnfitOption "T044" "an option that the field's type does not have",
    TypeInCase "T045" "a case that changes what the row says once",
    UnknownCaseField "T046" "a case names a field that the row lacks",
    NotAnEventTime "T047" "an event time that is no timestamp",
    SameCase "T048" "two cases of one name",
    UnreachableCase "T049" "a case that can never apply",
    // Columns used.
    UnknownField "T050" "a field that the input lacks",
    UnfitOrder "T051" "an order that is neither int64 nor timestamp",
    UniqueWithoutTime "T052" "a business key without the event time",
    NotATemplate "T053" "a key template that does not parse",
    WithoutEventTime "T054" "a table without an event time",
    NotATable "T055" "a text that names no table",
    UnfitDefault "T056" "a default that the field's type does not accept",
    MayLack "T057" "a field that is needed in every row and may be absent",
    FieldTwice "T058" "a field that is named twice",
    WithoutKey "T059" "an option of a business key where there is none",
    // Expressions.
    NotAnExpression "T060" "an expression that does not parse",
    UnknownIdentifier "T061" "an expression names something unknown",
    UnknownFunction "T062" "an expression calls an unknown function",
    LaterField "T063" "an expression names a field that is not there yet",
    ItemWithoutExplode "T064" "`item` without `explode`",
    FieldInWhen "T065" "`when` names a field of the row",
    WrongCall "T066" "a call with the wrong arguments",
    NeverCombines "T067" "an operation on values that it never has a result for",
    UnfitExpression "T068" "an expression that never gives its field's type",
    NotACondition "T069" "a condition that is never true or false",
    // Accidents of expressions in YAML.
    ExpressionIsTag "T070" "an expression that YAML takes for a tag",
    ExpressionHasColon "T071" "an expression with `: ` outside quotes",
    ExpressionLeadingQuote "T072" "an expression that begins with a quoted text",
    ExpressionInFlow "T073" "an expression with a comma or bracket in flow style",
    TextHasColon "T074" "a text in an expression that holds `: `",
    ExpressionHasComment "T075" "an expression cut at ` #`",
    VariableInFlow "T076" "`${` without quotes in flow style",
    // More on expressions.
    KnownOutcome "T077" "a comparison whose outcome is always the same",
    NotAvailable "T078" "something of CEL that expressions do not have",
    NoSuchPath "T079" "a path that no message of the format has",
    // Connections.
    NoConnection "T080" "a connection is said nowhere",
    NotAnAddress "T081" "an address that does not parse",
    TwoSecrets "T082" "options that exclude or need each other",
    // More on supervision.
    NeverRestarted "T083" "a supervisor that restarts nobody",
    NeverEscalates "T084" "an intensity that is never exceeded",
    // Gates.
    UnfitRule "T085" "a gate judges a field that its rule cannot judge",
    RuleWithoutField "T086" "a rule lacks the field that it judges",
    SlowBeat "T087" "verdicts that expire before the next is given",
    OnlyGates "T088" "a source that nobody but gates reads",
    NotOfTheKey "T089" "an override looks at more than the key",
    // Examples.
    UnknownInTest "T090" "a test names an actor that does not exist",
    UnfitInTest "T091" "a test asks of an actor what its kind cannot do",
    // Tables over time.
    UnfitPolicy "T094" "policies of one table that contradict each other",
    NobodyDrops "T095" "a retention that no schedule carries out",
    IdleSchedule "T096" "a schedule that has nothing to do",
    NotABeat "T097" "a text that is neither a duration nor a line of cron",
    NotAnAggregate "T098" "a text that is no aggregate of a field",
    UnfitJob "T099" "a roll-up or an export that does not fit its table",
    // Live servers; see [`Code::needs_servers`].
    Unreachable "T100" "a server that does not answer",
    Refused "T101" "a server that refuses the connection",
    TooOld "T102" "a server that is too old, or lacks TimescaleDB",
    NoTopic "T110" "a topic that does not exist",
    TopicForbidden "T111" "a topic or group that the user may not use",
    IdleClones "T112" "more clones than partitions",
    Compacted "T113" "a compacted topic where each record counts",
    SmallMessages "T114" "a topic whose messages are smaller than the rows may be",
    NoTable "T120" "a table that does not exist",
    NoColumn "T121" "a field without a column",
    UnfitColumn "T122" "a column that cannot hold its field",
    UnfilledColumn "T123" "a column that refuses NULL and may get none",
    PlainTable "T124" "a table that is no hypertable by the event time",
    NoUniqueIndex "T125" "a business key without a unique index",
    NoPrivilege "T126" "a privilege that the database's user lacks",
    PendingMigration "T127" "migrations that the database lacks, or has otherwise",
    UnfitChunks "T128" "chunks or policies of a table that are not those declared",
    Unlicensed "T129" "a policy that the server's edition cannot carry out",
    Evicting "T130" "a Redis that drops keys when its memory is full",
    NotPrimary "T131" "a Redis that takes no writes",
    ForbiddenCommand "T132" "a command that the Redis user may not send",
}

impl Code {
    /// Whether only a server can give it, so that it comes from `check --connect` and from no file alone.
    pub fn needs_servers(self) -> bool {
        self >= Code::Unreachable
    }
}

#[cfg(test)]
mod tests {
    use super::Code;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_are_unique_and_every_page_has_a_failing_example_and_a_cure() {
        let ids: BTreeSet<&str> = Code::ALL.iter().map(|code| code.id()).collect();
        assert_eq!(ids.len(), Code::ALL.len());
        for code in Code::ALL {
            let page = code.page();
            assert!(
                page.starts_with(&format!("# {}: {}\n", code.id(), code.title())),
                "title of {}",
                code.id()
            );
            assert!(page.contains("```yaml") || page.contains("```sh"), "{} has no example", code.id());
            assert!(page.contains("## Cure"), "{} has no cure", code.id());
        }
    }

    #[test]
    fn every_page_belongs_to_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/codes");
        let pages: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder of pages")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().replace(".md", ""))
            .collect();
        let ids: BTreeSet<String> = Code::ALL.iter().map(|code| code.id().to_owned()).collect();
        assert_eq!(pages, ids);
    }
}
