"""OpenAI's requests as jobs, jobs' results as OpenAI's answers: for the HTTP routes and the lines of batches."""

from workers.openai.translate import ENDPOINTS, body_of, job_of

__all__ = ["ENDPOINTS", "body_of", "job_of"]
