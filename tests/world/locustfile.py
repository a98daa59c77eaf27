"""The scenario of `test_api` as Locust has it: requests that succeed, requests that fail, and errors that are raised."""

from locust import HttpUser, constant, task


class Shopper(HttpUser):
    wait_time = constant(0.2)

    @task
    def shop(self):
        self.client.get("/products", name="products")
        self.client.get("/status/503", name="broken")
        raise ValueError("raised on purpose")
