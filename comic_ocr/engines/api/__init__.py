"""What all engines that ask an API share: keys, limits, retries, refusals, paid answers.

`client` imports the OpenAI SDK, so engines import it in their load().
"""
