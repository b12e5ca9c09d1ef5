-- A client that has a response, and asks whether it is still current.
wrk.headers['If-None-Match'] = '"1"'
