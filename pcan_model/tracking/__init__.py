"""From detections to tracks: association, track management, and the step of one frame. No torch."""
