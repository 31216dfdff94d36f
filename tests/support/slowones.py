"""Tests that `make test` leaves to `make test-all`, beside those that say so themselves: each takes 4 s or more, and
most have quicker brothers that stay. The quick tests are to take less than twelve minutes on two cores.

A line is the beginning of a test's name, from its file on.
"""

from __future__ import annotations

_BEGINNINGS = """
test_limits.py::test_an_interrupt_at_any_moment
test_truth_lab.py::test_what_simctl_says_of_programs_of_sockets_is_what_the_wire_says
test_vm_determinism.py::test_seeds_show_which_expectation_is_flaky
test_vm_determinism.py::test_two_runs_are_the_same_to_the_last_byte[keepalive-probes
test_vm_run.py::test_sampling_follows_what_happens
test_vm_run.py::test_story_in_virtual_time[keepalive-probes
test_vm_run.py::test_story_in_virtual_time[time-wait-ends
test_vm_faults.py::test_netem
test_vm_faults.py::test_a_ladder_does_not_call_lost_what_is_late
test_vm_faults.py::test_duplicates_harm_nobody
test_vm_failures.py::test_a_full_disk_under_the_recording[32k
test_smallest.py::test_it_runs_in_its_smallest_form[vm
test_smallest.py::test_it_runs_in_its_smallest_form[netns-compose
test_smallest.py::test_it_runs_in_its_smallest_form[docker-compose
test_smallest.py::test_it_runs_in_its_smallest_form[mininet-10
test_kind_proxies.py::test_story[kept-nginx
test_run_docker.py::test_stories[jetty
test_run_docker.py::test_the_leak_is_shown_with_its_owner
test_run_netns.py::test_stories[jetty
test_link_step.py::test_a_sender_gives_up_after_its_retries[docker
test_link_step.py::test_keepalive_notices_and_only_where_it_is_on
test_link_step.py::test_rootless
test_ignored_signals.py::test_nohup_is_obeyed
test_lifecycle.py::test_whichever_process_is_killed[init
test_lifecycle.py::test_whichever_process_is_killed[supervisor
test_labs.py::test_two_labs_at_a_time
test_labs.py::test_rootless
test_measure_lab.py::test_a_server_is_measured_from_the_client
test_measure_docs.py::test_the_example_is_what_is_printed
test_docker_images.py::test_an_archive_out_of_reach
test_bad_machine.py::test_an_engine_that_never_answers[arguments1
test_program_steps.py::test_a_reload_changes_a_knob_of_a_program_that_runs[gunicorn
test_program_steps.py::test_a_reload_changes_a_knob_of_a_program_that_runs[apache
test_program_steps.py::test_a_reload_changes_a_knob_of_a_program_that_runs[caddy
test_probe_container.py::test_the_story_is_the_same_as_with_a_process
test_probe_container.py::test_a_standing_lab_of_an_ordinary_user
test_kind_datastores_lab.py::test_every_dead_connection_of_a_pool_fails_one_query
test_kind_java.py::test_idle_connections_in_a_lab
test_kind_clients.py::test_idle_connections_in_a_lab
test_hostile_nodes.py::test_on_netns[http-endless-body
test_hostile_nodes.py::test_on_netns[client-no-id
test_kind_proxies.py::test_story[kept-apache
test_kind_graceful.py::test_what_does_not_wait_ends_the_request_with_it[knobs0-go
test_kind_graceful.py::test_what_does_not_wait_ends_the_request_with_it[knobs1-go
test_kind_graceful.py::test_a_request_in_flight_gets_its_response_and_an_idle_connection_a_fin[go
test_socket_options.py::test_a_server_s_connections[go
test_schema_command.py::test_the_report_of_a_stored_run_is_as_its_schema_says[nat-resets
test_schema_command.py::test_the_report_of_a_stored_run_is_as_its_schema_says[idle-close
test_warm.py::test_a_program_sees_what_it_would_see[script-spawn
test_changes.py::test_a_nat_has_ports_that_rest_and_targets_that_change
test_names_lab.py::test_a_node_is_ready_when_its_check_passes
test_packet_steps.py::test_dice_fall_the_same_way_each_time
test_link_scope.py::test_one_network_of_several
test_node_origin_stories.py::test_stories[netns
"""

SLOW = tuple(_BEGINNINGS.split())


def is_slow(nodeid: str) -> bool:
    return nodeid.rpartition("/")[2].startswith(SLOW)
