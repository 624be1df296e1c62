"""Ask a question and print the answer as it comes.

Start phiq first (`phiq up`) and ingest some documents (`phiq ingest examples/handbook`): python examples/five_lines.py
With PHIQ_URL and PHIQ_API_KEY it asks a phiq elsewhere.
"""

import phiq

job = phiq.submit("chat", "How do I reset the Loop?")
for text in job.stream():
    print(text, end="", flush=True)
print("\n", *(citation.source for citation in job.result().citations))
