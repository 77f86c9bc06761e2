//! What every kind that speaks to Kafka shares: client configuration, error classes.
