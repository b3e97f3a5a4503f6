SELECT playhall_auth.choose_event_form(false);
DROP FUNCTION playhall_auth.choose_event_form(boolean);
