"""Schedules: jobs and batches that start by themselves, at their time, once.

when, cron   when a schedule is due, in its time zone
records      what a schedule and its firings are
store        both in Redis, each change one script (lua/)
plan         the policies: missed firings, and firings while the one before still runs
work         what a firing starts: a job or a batch
ticker       the tick that fires, called by every scheduler (`workers.lifecycle.beat`)
schedules    add, change, pause, run, remove, for the front doors
"""

from workers.schedules.records import BatchTarget, Firing, FiringState, Schedule, ScheduleSpec
from workers.schedules.schedules import Schedules
from workers.schedules.ticker import Ticker

__all__ = ["BatchTarget", "Firing", "FiringState", "Schedule", "ScheduleSpec", "Schedules", "Ticker"]
