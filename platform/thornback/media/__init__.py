"""From a video to frames: fetch, look, find scenes, pick frames, judge them."""
