"""OpenAI's requests as jobs and jobs' results as OpenAI's answers, for whoever speaks that protocol: HTTP and batches.

requests   from a request's body to a job
answers    from a job's record to the body of the answer
"""

from workers.openai.answers import body_of
from workers.openai.requests import ENDPOINTS, job_of

__all__ = ["ENDPOINTS", "body_of", "job_of"]
