"""What the engines share whose model runs in the host's process: prompt, options and chat model.

They differ in the folder they read (`workers.engines.onnx`, `workers.engines.openvino`) and in what runs it
(`workers.engines.host.backends`).
"""
