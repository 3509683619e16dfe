"""The subscriber's tests. `test_event` and `test_mail` need nothing; `test_system` needs what scripts/subscriber.sh prepares."""
