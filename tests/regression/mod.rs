//! What users of the others ask for and do not get: each complaint has a test here that names it.
//!
//! | complaint, and where it was made | test |
//! |---|---|
//! | the offset moves though the sink refused (vector#24543, confluentinc/kafka-connect-jdbc#1597) | [`delivery::the_offset_stays_while_the_sink_refuses`], [`delivery::the_offset_passes_a_refused_row_only_with_its_letter`] |
//! | partitions are silently never read again (vector#22006, redpanda connect#3410, #4648) | [`nodes::a_partition_that_comes_back_is_read_again`], and over every protocol `e2e::kafka` |
//! | `/ready` is true with the brokers down (connect#4655) | [`alone::ready_is_never_said_while_the_brokers_are_down`], and as they fall silent `e2e::readiness` |
//! | one bad byte stops a pipeline for 27 hours (arroyo#1103) | [`delivery::a_bad_byte_stops_nothing`] |
//! | one bad value takes its batch with it (telegraf#11005, connect#2346) | [`delivery::a_bad_value_takes_no_neighbour_with_it`] |
//! | a full disk floods the dead letters (kafka-connect-jdbc#1312) | [`delivery::a_full_disk_sends_nothing_to_the_dead_letter`] |
//! | one dead output stops the healthy ones (telegraf#19738, vector#19938) | [`delivery::a_dead_output_does_not_stop_the_healthy_ones`] |
//! | a reload drops the buffer (telegraf#2679) | [`nodes::a_reload_writes_what_is_buffered`] |
//! | a reload never ends (vector#24125) | [`alone::a_reload_ends_while_the_brokers_are_down`] |
//! | YAML errors without file or line (vector#23008) | [`files::every_mistake_has_its_file_line_and_column`] |
//! | environment variables are substituted inside comments (connect#2043) | [`files::a_comment_is_never_substituted`] |
//! | wrong lag until a restart (vector#21134) | [`nodes::a_partition_that_comes_back_is_read_again`] |
//! | lag that vanishes when consumers die (kafka-lag-exporter#36) | [`nodes::lag_is_told_while_nobody_consumes`] |
//! | dead letters cannot be replayed, anywhere | `e2e::dlq::poison_is_listed_tried_rehearsed_and_replayed_once` and those beside it |
//! | unit tests that reach transforms only (vector#11983, #20278) | [`files::a_unit_test_reaches_from_the_topic_to_the_table`] |

mod alone;
mod delivery;
mod files;
mod nodes;
