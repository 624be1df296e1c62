"""The service: settings, jobs, the ledger, the Celery application, engines and the one-machine stack."""
