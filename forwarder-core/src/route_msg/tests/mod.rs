mod refused;
mod requests;
mod round_trip;
