"""What every plug-in promises, as tests: ``pytest --pyargs caat_studio_contracts``.

They bind each method, dataset, backbone and attack that an installed distribution adds. The rules
are functions of the modules beside this one, and CAAT Studio's own tests put its own classes to the
same ones. An ``AssertionError`` says which promise is broken.
"""
