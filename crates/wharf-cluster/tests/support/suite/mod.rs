//! What every broker has to do, whatever it is made of.

pub mod delivery;
pub mod foreign;
pub mod interest;
pub mod outage;
pub mod recovery;

/// Makes tests of the suite's cases, for a [`Backend`](super::backend::Backend).
#[macro_export]
macro_rules! suite {
    ($backend:ty) => {
        $crate::suite! { $backend:
            delivery::what_each_node_publishes_reaches_the_subscribers_of_all_nodes_once,
            delivery::the_messages_of_each_publisher_stay_in_order,
            delivery::the_messages_of_a_history_are_in_one_order_for_all,
            delivery::who_has_subscribed_to_a_topic_and_to_patterns_gets_a_message_once,
            delivery::keys_and_bytes_travel,
            delivery::a_connection_does_not_get_what_it_publishes_itself,
            interest::a_node_asks_the_broker_only_for_what_somebody_wants,
            interest::who_comes_and_goes_within_the_linger_does_not_make_the_broker_work,
            outage::a_node_that_starts_before_its_broker_connects_when_it_comes,
            outage::while_the_broker_is_away_delivery_goes_on_here_and_what_is_queued_arrives_later_once,
            outage::a_queue_that_is_full_says_so,
            outage::a_hub_that_is_not_to_wait_says_that_the_broker_is_away,
            outage::nothing_that_was_acknowledged_is_lost_when_the_broker_is_killed,
            outage::a_node_that_was_cut_off_catches_up_and_hands_over_what_it_has,
            outage::a_node_that_has_got_nothing_yet_catches_up,
            outage::a_node_that_was_cut_off_gets_the_next_history_from_its_beginning,
            outage::a_broker_that_has_fallen_silent_is_away,
            recovery::a_client_of_a_node_that_was_killed_gets_what_it_missed_from_another,
            recovery::a_position_that_is_too_old_by_size_says_so,
            recovery::a_position_that_is_too_old_by_age_says_so,
            recovery::a_position_of_another_history_says_so,
            recovery::those_who_stay_go_on_with_the_next_history,
            recovery::ten_thousand_missed_messages_come_in_order,
            foreign::what_is_published_by_a_program_without_a_hub_arrives,
        }
    };
    ($backend:ty: $($module:ident::$case:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $crate::support::suite::$module::$case::<$backend>().await;
        }
    )*};
}
