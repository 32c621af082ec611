"""Moto's server with the one call that it lacks: UpdateEndpoint, which puts another configuration under an endpoint.

Run by the Python of an environment that has moto; never imported.
"""

import sys

from moto.core.responses import ActionResult
from moto.sagemaker.responses import SageMakerResponse
from moto.server import main


def update_endpoint(self):
    """Put the endpoint in the place of the old one, in service at once; an unknown name or configuration is refused."""
    name = self._get_param("EndpointName")
    self.sagemaker_backend.describe_endpoint(name)
    made = self.sagemaker_backend.create_endpoint(
        endpoint_name=name, endpoint_config_name=self._get_param("EndpointConfigName"), tags=[]
    )
    return ActionResult({"EndpointArn": made.arn})


if __name__ == "__main__":
    assert not hasattr(SageMakerResponse, "update_endpoint"), "moto has it by now: take its own"
    SageMakerResponse.update_endpoint = update_endpoint
    main(sys.argv[1:])
