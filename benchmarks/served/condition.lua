-- A client that has the answer already and asks whether it still holds.
wrk.headers['If-None-Match'] = '"1"'
