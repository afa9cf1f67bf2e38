-- A delivery names the trace that its run was triggered in.

ALTER TABLE deliveries
    ADD COLUMN traceparent text NOT NULL DEFAULT ''; -- W3C trace context of the run's trigger; empty when there was none
