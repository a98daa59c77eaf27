"""The same scenario for Locust, with its fast client: a small GET with a name and a check."""

from locust import FastHttpUser, task


class Asker(FastHttpUser):
    @task
    def ask(self):
        with self.client.get("/small.json", name="small", catch_response=True) as response:
            if response.status_code != 200:
                response.failure("not 200")
